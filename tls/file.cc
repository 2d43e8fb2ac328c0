#include "tls/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::tls {
namespace {

struct Descriptor {
  explicit Descriptor(int opened) : fd(opened) {}
  ~Descriptor() {
    if (fd >= 0) {
      ::close(fd);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

tl::unexpected<Error> fail_errno(const std::string& path) {
  const int error = errno;
  return fail(error == ENOENT ? Errc::not_found : Errc::io, "cannot read " + path + ": " + std::strerror(error));
}

}  // namespace

Result<File> read_file(const std::string& path, std::size_t limit) {
  // O_NONBLOCK: a fifo must not hold us up.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0) {
    return fail_errno(path);
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(Errc::io, "cannot read " + path + ": not a regular file");
  }
  File result;
  result.world_readable = (status.st_mode & S_IROTH) != 0;
  char chunk[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(file.fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return fail_errno(path);
    }
    if (got == 0) {
      return result;
    }
    if (result.content.size() + static_cast<std::size_t>(got) > limit) {
      return fail(Errc::limit_exceeded, path + " is larger than " + std::to_string(limit) + " octets");
    }
    result.content.append(chunk, static_cast<std::size_t>(got));
  }
}

}  // namespace postern::tls
