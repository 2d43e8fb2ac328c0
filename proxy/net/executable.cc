#include "proxy/net/executable.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::net {

// Not to be read, only to be executed.
Result<Executable> Executable::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (fd.get() < 0 || ::access(path.c_str(), X_OK) != 0) {
    return fail(Errc::not_found, path + ": " + std::strerror(errno));
  }
  return Executable(std::move(fd));
}

// What the child does with its lowest descriptors must not reach this one before it is executed.
Result<std::string> Executable::name(unsigned first_free) const {
  constexpr const char* descriptors = "/proc/self/fd/";
  if (fd_.get() >= static_cast<int>(first_free)) return descriptors + std::to_string(fd_.get());
  const int higher = ::fcntl(fd_.get(), F_DUPFD_CLOEXEC, static_cast<int>(first_free));
  if (higher < 0) return fail(Errc::io, std::string("a program that is kept open: ") + std::strerror(errno));
  higher_ = UniqueFd(higher);
  return descriptors + std::to_string(higher);
}

}  // namespace postern::net
