// What a server's and a client's SSL_CTX have in common: versions, ciphers, groups, and what is never allowed.
#pragma once

#include <openssl/base.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "config/settings.h"
#include "tls/complaint.h"

namespace postern::tls {

// An SSL_CTX without the library's X509 layer: certificates stay as received, we parse them when we judge them. No
// early data, no renegotiation, no session cache.
bssl::UniquePtr<SSL_CTX> new_ssl_ctx();

std::uint16_t library_version(config::TlsVersion version);  // TLS1_2_VERSION

// For SSL_CTX_set_custom_verify: certificates are judged after the handshake.
ssl_verify_result_t accept_any_certificate(SSL* ssl, std::uint8_t* alert) noexcept;

void set_versions(SSL_CTX* context, config::TlsVersion min, config::TlsVersion max);

// Returns a warning, or nothing: names this library does not know are passed over, as OpenSSL does. Fails where the
// list is malformed or nothing of it is left. An empty list takes all that have forward secrecy.
Result<std::string> set_ciphers(SSL_CTX* context, const std::string& cipher_list);

struct Group {
  std::string_view written;  // lower case
  std::string_view library;
  std::uint16_t id = 0;  // IANA's
  bool post_quantum = false;
};

struct GroupChoice {
  std::vector<const Group*> used;    // in their order
  std::vector<std::string> skipped;  // as they were written: the library lacks them
};

// Names and the usual aliases, in any case; those the library lacks are left out. Fails on a name that nobody knows,
// and where none is left.
Result<GroupChoice> set_groups(SSL_CTX* context, const std::vector<std::string>& groups);
std::string to_list(const std::vector<const Group*>& groups);  // "X25519:P-256", as the library wants it

// Of the context's ciphers, those that a handshake of TLS 1.2 or below within these versions can come to.
std::vector<const SSL_CIPHER*> usable_ciphers(const SSL_CTX* context, const config::TlsSettings& tls);

// Versions, ciphers and groups. Nothing where any complaint that was added is an error.
std::optional<GroupChoice> set_protocol(SSL_CTX* context, const config::TlsSettings& tls,
                                        std::vector<Complaint>& complaints);

}  // namespace postern::tls
