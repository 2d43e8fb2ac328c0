// What this process uses, for the metrics that every program has.
#pragma once

#include <cstdint>
#include <optional>

#include "config/unique_fd.h"

namespace postern::process {

class ProcessUsage {
 public:
  // Opens what the kernel says of us, in /proc: later, nothing is opened any more. What cannot be opened is not known.
  ProcessUsage();

  struct Now {
    double cpu_seconds = 0;
    double start_time = 0;  // seconds since 1970
    std::optional<std::uint64_t> open_descriptors;
    std::optional<std::uint64_t> most_descriptors;  // absent: no limit
    std::optional<std::uint64_t> virtual_bytes;
    std::optional<std::uint64_t> resident_bytes;
  };
  Now now() const;

 private:
  UniqueFd descriptors_;
  UniqueFd memory_;
  double start_time_;
};

}  // namespace postern::process
