// What a ClientHello says about the signatures its sender can check.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <span>
#include <vector>

#include "tls/certificates.h"

namespace postern::tls {

// What we would negotiate, fixed when the context is made.
struct ServerAbilities {
  std::uint16_t max_version = 0;             // TLS1_3_VERSION
  std::vector<std::uint16_t> ecdsa_ciphers;  // those of TLS 1.2 and below that need an ECDSA certificate
};

// False where the handshake would surely fail with `key`. True is no promise.
bool can_verify(const SSL_CLIENT_HELLO& hello, const PrivateKey& key, const ServerAbilities& abilities);

}  // namespace postern::tls
