// What a file that an option names is read for: a row whose kind is file(use) is such an option.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace postern::config {

enum class FileUse : std::uint8_t {
  none,                // the option names no file
  certificate_chain,   // PEM
  private_key,         // PEM
  client_authorities,  // PEM: they vouch for clients
  authorities,         // PEM: they vouch for remote servers; "system" means this machine's, wherever they are
  ticket_keys,         // octets; read again while we run
  secret,              // a password or a token; read again while we run
  trust_anchor,        // of DNSSEC, a zone file
};
std::string_view to_string(FileUse value);

// Octets: what is larger cannot be what it is read for.
constexpr std::size_t largest_file(FileUse use) {
  constexpr std::size_t kibibyte = 1024;
  switch (use) {
    case FileUse::none: return 0;
    case FileUse::certificate_chain:
    case FileUse::private_key:
    case FileUse::client_authorities:
    case FileUse::authorities: return 4096 * kibibyte;       // a system's whole list of CAs is below 300 KiB
    case FileUse::ticket_keys: return std::size_t{16} * 80;  // that many keys
    case FileUse::secret: return 64 * kibibyte;
    case FileUse::trust_anchor: return 1024 * kibibyte;
  }
  return 0;
}

// The value of `ca_file` that stands for this machine's authorities.
inline constexpr std::string_view system_authorities = "system";

}  // namespace postern::config
