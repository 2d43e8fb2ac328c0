#include "tls/signatures.h"

#include <openssl/ssl.h>

namespace postern::tls {
namespace {

bool is_rsa_pss(std::uint16_t scheme) {
  return scheme == SSL_SIGN_RSA_PSS_RSAE_SHA256 || scheme == SSL_SIGN_RSA_PSS_RSAE_SHA384 ||
         scheme == SSL_SIGN_RSA_PSS_RSAE_SHA512;
}

bool is_rsa(std::uint16_t scheme) {
  return is_rsa_pss(scheme) || (scheme & 0xff) == 0x01;  // TLS 1.2: SignatureAlgorithm rsa(1)
}

bool is_ecdsa(std::uint16_t scheme) {
  return (scheme & 0xff) == 0x03 && scheme >> 8 <= 0x06;  // TLS 1.2: ecdsa(3) with any hash
}

}  // namespace

bool can_sign_tls13(const PrivateKey& key, std::uint16_t scheme) {
  return key.type == KeyType::rsa ? is_rsa_pss(scheme) : scheme == key.tls13_signature;
}

bool can_sign_below_tls13(const PrivateKey& key, std::uint16_t scheme) {
  switch (key.type) {
    case KeyType::rsa: return is_rsa(scheme);
    case KeyType::ecdsa: return is_ecdsa(scheme);
    case KeyType::ed25519: return scheme == SSL_SIGN_ED25519;
  }
  return false;
}

}  // namespace postern::tls
