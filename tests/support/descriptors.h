// A process that has as many descriptors open as it may have.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include "config/unique_fd.h"

namespace postern::descriptors {

// Nothing may be asserted while it lasts: that may need a descriptor.
class NoneLeft {
 public:
  NoneLeft() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const UniqueFd next(::dup(0));
    const rlimit none = {static_cast<rlim_t>(next.get()), before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoneLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoneLeft(const NoneLeft&) = delete;
  NoneLeft& operator=(const NoneLeft&) = delete;

 private:
  rlimit before_{};
};

}  // namespace postern::descriptors
