// What a server's and a client's SSL_CTX have in common: versions, ciphers, groups, and what is never allowed.
#pragma once

#include <openssl/base.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "config/result.h"
#include "config/settings.h"

namespace postern::tls {

// An SSL_CTX without the library's X509 layer: certificates stay as received, we parse them when we judge them. No
// early data, no renegotiation, no session cache.
bssl::UniquePtr<SSL_CTX> new_ssl_ctx();

std::uint16_t library_version(config::TlsVersion version);  // TLS1_2_VERSION

// For SSL_CTX_set_custom_verify: certificates are judged after the handshake.
ssl_verify_result_t accept_any_certificate(SSL* ssl, std::uint8_t* alert) noexcept;

void set_versions(SSL_CTX* context, config::TlsVersion min, config::TlsVersion max);

// Returns a warning, or nothing: names this library does not know are passed over, as OpenSSL does. Fails where the
// list is malformed or nothing of it is left. An empty list leaves the library's default.
Result<std::string> set_ciphers(SSL_CTX* context, const std::string& cipher_list);

// Names and the usual aliases, in any case; those the library lacks are left out and returned. Fails on a name that
// nobody knows, and where none is left.
Result<std::vector<std::string>> set_groups(SSL_CTX* context, const std::vector<std::string>& groups);

}  // namespace postern::tls
