#include "proxy/process/secret_file.h"

#include "config/file.h"
#include "config/text_encoding.h"

namespace postern::process {

namespace {
constexpr std::size_t longest_secret = 64 * 1024;
}

Result<std::string> read_secret_file(const std::string& path) {
  auto file = config::read_file(path, longest_secret);
  if (!file && file.error().code == Errc::limit_exceeded) {
    return fail(Errc::limit_exceeded, path + " is too long for a password or token");
  }
  if (!file) return fail(Errc::io, std::move(file.error().message));
  std::string& secret = file->content;
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
  return std::move(secret);
}

}  // namespace postern::process
