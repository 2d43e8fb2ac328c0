// A program that can be started for as long as we live, whatever becomes of our rights to its folder, and of the file,
// which an upgrade replaces by one that may speak otherwise.
#pragma once

#include <string>

#include "config/result.h"
#include "config/unique_fd.h"

namespace postern::net {

class Executable {
 public:
  // Kept open. Errc::not_found: it is not there, or may not be run.
  static Result<Executable> open(const std::string& path);
  // A name for it that counts in this process, for a child with descriptors below `first_free`.
  Result<std::string> name(unsigned first_free) const;

 private:
  explicit Executable(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  mutable UniqueFd higher_;
};

}  // namespace postern::net
