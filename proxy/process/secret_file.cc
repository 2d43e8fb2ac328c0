#include "proxy/process/secret_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::process {

namespace {
constexpr std::size_t longest_secret = 64 * 1024;
}

Result<std::string> read_secret_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return fail(Errc::io, "cannot read " + path + ": " + std::strerror(errno));
  std::string secret(longest_secret + 1, '\0');
  std::size_t size = 0;
  ssize_t count = 0;
  while (size < secret.size() && (count = ::read(file, secret.data() + size, secret.size() - size)) > 0) {
    size += static_cast<std::size_t>(count);
  }
  const int error = errno;
  ::close(file);
  if (count < 0) return fail(Errc::io, "cannot read " + path + ": " + std::strerror(error));
  secret.resize(size);
  if (size > longest_secret) return fail(Errc::limit_exceeded, path + " is too long for a password or token");
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) return fail(Errc::protocol, path + " is empty");
  if (secret.find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos) {
    return fail(Errc::protocol, path + " holds more than one line");
  }
  return secret;
}

}  // namespace postern::process
