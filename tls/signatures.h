// Which signatures a key can make.
#pragma once

#include <cstdint>

#include "tls/certificates.h"

namespace postern::tls {

// `scheme` is a SignatureScheme of RFC 8446 4.2.3, or below TLS 1.3 the pair of hash and algorithm with the same
// number.
bool can_sign_tls13(const PrivateKey& key, std::uint16_t scheme);
bool can_sign_below_tls13(const PrivateKey& key, std::uint16_t scheme);

}  // namespace postern::tls
