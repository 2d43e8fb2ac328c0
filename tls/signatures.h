// Which signatures a key can make, and which of a peer's count.
#pragma once

#include <openssl/base.h>

#include <cstdint>

#include "tls/certificates.h"

namespace postern::tls {

// `scheme` is a SignatureScheme of RFC 8446 4.2.3, or below TLS 1.3 the pair of hash and algorithm with the same
// number.
bool can_sign_tls13(const PrivateKey& key, std::uint16_t scheme);
bool can_sign_below_tls13(const PrivateKey& key, std::uint16_t scheme);

// What peers may sign with, servers and clients alike, P-521 and Ed25519 included (the library's own list lacks them).
// `allow_sha1`: in TLS 1.2, and last.
void set_accepted_signatures(SSL_CTX* context, bool allow_sha1);

}  // namespace postern::tls
