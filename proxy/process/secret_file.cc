#include "proxy/process/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "config/text_encoding.h"

namespace postern::process {

namespace {
constexpr std::size_t longest_secret = 64 * 1024;
}

Result<std::string> read_secret_file(const std::string& path) {
  // O_NONBLOCK: a fifo must not hold us up.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return fail(Errc::io, "cannot read " + path + ": " + std::strerror(errno));
  struct stat status = {};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(file);
    return fail(Errc::io, "cannot read " + path + ": not a regular file");
  }
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
  if (const auto encoding = config::wide_encoding(secret); !encoding.empty()) {
    return fail(Errc::protocol, path + " is in " + std::string(encoding) + ": save it in UTF-8");
  }
  secret.erase(0, secret.size() - config::without_mark(secret).size());
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) return fail(Errc::protocol, path + " is empty");
  if (secret.find('\0') != std::string::npos) return fail(Errc::protocol, path + " holds a NUL octet");
  if (secret.find_first_of("\r\n") != std::string::npos) {
    return fail(Errc::protocol, path + " holds more than one line");
  }
  return secret;
}

}  // namespace postern::process
