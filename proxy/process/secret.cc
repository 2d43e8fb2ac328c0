#include "proxy/process/secret.h"

#include <utility>

#include "config/files.h"
#include "config/text_encoding.h"

namespace postern::process {

namespace {

bool same(const Result<std::string>& one, const Result<std::string>& other) {
  if (one.has_value() != other.has_value()) return false;
  return one ? *one == *other : one.error().message == other.error().message;
}

// Frees it as nobody may find it.
struct Wipe {
  void operator()(Result<std::string>* secret) const {
    if (*secret) config::wipe(**secret);
    delete secret;
  }
};

}  // namespace

Result<std::string> secret_in(const std::string& path, const Result<config::File>& read) {
  if (!read && read.error().code == Errc::limit_exceeded) {
    return fail(Errc::limit_exceeded, path + " is too long for a password or token");
  }
  if (!read) return fail(Errc::io, read.error().message);
  std::string secret = read->content;
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

bool Secret::renew(const Result<config::File>& read) {
  auto found = secret_in(path_, read);
  if (same(*now_.get(), found)) return false;
  now_.set({new Result<std::string>(std::move(found)), Wipe()});
  return true;
}

}  // namespace postern::process
