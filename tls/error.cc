#include "tls/error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string>

#include "config/text.h"

namespace postern::tls {
namespace {

// "NO_SHARED_CIPHER" -> "no shared cipher".
std::string in_words(std::string_view name) {
  std::string words;
  for (const char letter : name) words += letter == '_' ? ' ' : config::lower(letter);
  return words;
}

// "TLSV1_ALERT_UNKNOWN_CA" -> "unknown ca".
std::string alert_in_words(std::string_view name) {
  constexpr std::string_view marker = "_ALERT_";
  const std::size_t found = name.find(marker);
  return in_words(found == std::string_view::npos ? name : name.substr(found + marker.size()));
}

std::string ssl_reason(std::uint32_t packed, std::string_view name) {
  switch (ERR_GET_REASON(packed)) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return "the peer speaks HTTP, not TLS";
    case SSL_R_WRONG_VERSION_NUMBER: return "the peer does not speak TLS (wrong version number)";
    case SSL_R_UNEXPECTED_RECORD: return "the peer sent a record that has no place here";
    case SSL_R_KEY_USAGE_BIT_INCORRECT:
      return "the peer's certificate may not sign: its keyUsage lacks digitalSignature";
    default: break;
  }
  if (ERR_GET_REASON(packed) > SSL_AD_REASON_OFFSET) return "the peer refused: " + alert_in_words(name);
  return in_words(name);
}

}  // namespace

std::string take_error_reason() {
  const std::uint32_t packed = ERR_get_error();
  ERR_clear_error();
  if (packed == 0) return "no reason given";
  const char* name = ERR_reason_error_string(packed);
  if (name == nullptr) return "error " + std::to_string(packed);
  return ERR_GET_LIB(packed) == ERR_LIB_SSL ? ssl_reason(packed, name) : in_words(name);
}

Error take_error(Errc code, std::string_view doing) {
  return Error{code, std::string(doing) + ": " + take_error_reason()};
}

}  // namespace postern::tls
