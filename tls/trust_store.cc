#include "tls/trust_store.h"

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "config/assert.h"
#include "tls/pem.h"

namespace postern::tls {
namespace {

bssl::UniquePtr<CRYPTO_BUFFER> name_of(const X509& certificate) {
  std::uint8_t* der = nullptr;
  const int size = i2d_X509_NAME(X509_get_subject_name(&certificate), &der);
  POSTERN_ASSERT(size >= 0, "a parsed name can be written again");
  const bssl::UniquePtr<std::uint8_t> owned(der);
  return bssl::UniquePtr<CRYPTO_BUFFER>(CRYPTO_BUFFER_new(der, static_cast<std::size_t>(size), nullptr));
}

// The peer's certificates as X509, leaf first; empty where one does not parse.
bssl::UniquePtr<STACK_OF(X509)> parse_chain(const STACK_OF(CRYPTO_BUFFER) * chain) {
  bssl::UniquePtr<STACK_OF(X509)> parsed(sk_X509_new_null());
  POSTERN_ASSERT(parsed != nullptr, "out of memory");
  for (std::size_t i = 0; i < sk_CRYPTO_BUFFER_num(chain); ++i) {
    bssl::UniquePtr<X509> one(X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, i)));
    if (one == nullptr) {
      return nullptr;
    }
    bssl::PushToStack(parsed.get(), std::move(one));
  }
  return parsed;
}

// The library takes an anchor as it stands (RFC 5280 6.1), so that somebody's own certificate, listed to let them in,
// would let in all whom they vouch for.
bool only_cas_vouch(X509_STORE_CTX* validation) {
  const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(validation);
  for (std::size_t i = 1; i < sk_X509_num(path); ++i) {
    if (X509_check_ca(sk_X509_value(path, i)) == 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<const TrustStore>> TrustStore::load(const std::string& ca_file) {
  auto anchors = load_pem_certificates(ca_file);
  if (!anchors) {
    return tl::unexpected(anchors.error());
  }
  std::unique_ptr<TrustStore> trust(new TrustStore);
  trust->store_.reset(X509_STORE_new());
  POSTERN_ASSERT(trust->store_ != nullptr, "out of memory");
  // An intermediate in the file is trusted as it stands: that is what the operator wrote.
  X509_STORE_set_flags(trust->store_.get(), X509_V_FLAG_PARTIAL_CHAIN);
  std::string all;
  for (const PemCertificate& anchor : *anchors) {
    X509_STORE_add_cert(trust->store_.get(), anchor.parsed.get());
    trust->names_.push_back(name_of(*anchor.parsed));
    all += anchor.der;
  }
  ERR_clear_error();  // the same certificate twice is no error
  trust->digest_.resize(SHA256_DIGEST_LENGTH);
  SHA256(reinterpret_cast<const std::uint8_t*>(all.data()), all.size(),
         reinterpret_cast<std::uint8_t*>(trust->digest_.data()));
  return trust;
}

std::string TrustStore::verify(const STACK_OF(CRYPTO_BUFFER) * chain, Peer peer) const {
  const auto parsed = parse_chain(chain);
  if (parsed == nullptr || sk_X509_num(parsed.get()) == 0) {
    ERR_clear_error();
    return "the certificate does not parse";
  }
  const bssl::UniquePtr<X509_STORE_CTX> validation(X509_STORE_CTX_new());
  POSTERN_ASSERT(validation != nullptr, "out of memory");
  std::string failure;
  if (X509_STORE_CTX_init(validation.get(), store_.get(), sk_X509_value(parsed.get(), 0), parsed.get()) != 1 ||
      X509_STORE_CTX_set_default(validation.get(), peer == Peer::client ? "ssl_client" : "ssl_server") != 1) {
    failure = "the certificate cannot be judged";
  } else if (X509_verify_cert(validation.get()) != 1) {
    failure = X509_verify_cert_error_string(X509_STORE_CTX_get_error(validation.get()));
  } else if (!only_cas_vouch(validation.get())) {
    failure = X509_verify_cert_error_string(X509_V_ERR_INVALID_CA);
  }
  ERR_clear_error();
  return failure;
}

}  // namespace postern::tls
