#include "tls/signatures.h"

#include <openssl/ssl.h>

#include <iterator>

#include "config/assert.h"

namespace postern::tls {
namespace {

// SHA-1 last.
constexpr std::uint16_t accepted[] = {
    SSL_SIGN_ECDSA_SECP256R1_SHA256,
    SSL_SIGN_RSA_PSS_RSAE_SHA256,
    SSL_SIGN_RSA_PKCS1_SHA256,
    SSL_SIGN_ECDSA_SECP384R1_SHA384,
    SSL_SIGN_RSA_PSS_RSAE_SHA384,
    SSL_SIGN_RSA_PKCS1_SHA384,
    SSL_SIGN_ECDSA_SECP521R1_SHA512,
    SSL_SIGN_RSA_PSS_RSAE_SHA512,
    SSL_SIGN_RSA_PKCS1_SHA512,
    SSL_SIGN_ED25519,
    SSL_SIGN_ECDSA_SHA1,
    SSL_SIGN_RSA_PKCS1_SHA1,
};
constexpr std::size_t sha1_signatures = 2;

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

void set_accepted_signatures(SSL_CTX* context, bool allow_sha1) {
  const std::size_t count = std::size(accepted) - (allow_sha1 ? 0 : sha1_signatures);
  const bool set = SSL_CTX_set_verify_algorithm_prefs(context, accepted, count) == 1;
  POSTERN_ASSERT(set, "the TLS library has lost a signature algorithm");
}

}  // namespace postern::tls
