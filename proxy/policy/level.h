// How much TLS an operator demands toward a remote server, in Postfix's words.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::policy {

enum class Level : std::uint8_t {
  none,         // never TLS
  may,          // opportunistic (RFC 7435)
  encrypt,      // TLS, unauthenticated
  fingerprint,  // one of the listed keys or certificates
  verify,       // a Web-PKI chain and the MX host's name
  secure,       // a Web-PKI chain and the recipient domain's name, or the listed ones
  dane,         // TLSA where usable, otherwise may
  dane_only,    // usable TLSA, or nothing
};
std::string_view to_string(Level level);  // "dane-only"
std::optional<Level> parse_level(std::string_view text);

}  // namespace postern::policy
