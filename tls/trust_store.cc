#include "tls/trust_store.h"

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstdlib>

#include "config/assert.h"
#include "tls/tlsa.h"

namespace postern::tls {
namespace {

bssl::UniquePtr<CRYPTO_BUFFER> name_of(const X509& certificate) {
  std::uint8_t* der = nullptr;
  const int size = i2d_X509_NAME(X509_get_subject_name(&certificate), &der);
  POSTERN_ASSERT(size >= 0, "a parsed name can be written again");
  const bssl::UniquePtr<std::uint8_t> owned(der);
  return bssl::UniquePtr<CRYPTO_BUFFER>(CRYPTO_BUFFER_new(der, static_cast<std::size_t>(size), nullptr));
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

// Where distributions keep the CAs of the Web PKI.
constexpr std::array system_files = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // the same, newer
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",                                  // BSDs
};

bool is_expiry(int error) {
  return error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
}

ChainResult distrust(int error) {
  return {false, is_expiry(error), X509_verify_cert_error_string(error)};
}

}  // namespace

TrustStore::TrustStore(const std::vector<PemCertificate>& anchors) : store_(X509_STORE_new()) {
  POSTERN_ASSERT(store_ != nullptr, "out of memory");
  // An intermediate in the file is trusted as it stands: that is what the operator wrote.
  X509_STORE_set_flags(store_.get(), X509_V_FLAG_PARTIAL_CHAIN);
  std::string all;
  for (const PemCertificate& anchor : anchors) {
    X509_STORE_add_cert(store_.get(), anchor.parsed.get());
    names_.push_back(name_of(*anchor.parsed));
    all += anchor.der;
  }
  ERR_clear_error();  // the same certificate twice is no error
  digest_ = sha256(all);
}

Result<std::unique_ptr<const TrustStore>> TrustStore::load(const std::string& ca_file) {
  const auto anchors = load_pem_certificates(ca_file);
  if (!anchors) {
    return tl::unexpected(anchors.error());
  }
  return std::unique_ptr<const TrustStore>(new TrustStore(*anchors));
}

Result<std::unique_ptr<const TrustStore>> TrustStore::load_system() {
  const char* named = std::getenv("SSL_CERT_FILE");
  const auto load_usable = [](const char* path) -> Result<std::unique_ptr<const TrustStore>> {
    const auto anchors = load_pem_certificates(path, Unparsable::left_out);
    if (!anchors) {
      return tl::unexpected(anchors.error());
    }
    return std::unique_ptr<const TrustStore>(new TrustStore(*anchors));
  };
  if (named != nullptr && *named != '\0') {
    return load_usable(named);
  }
  for (const char* path : system_files) {
    auto trust = load_usable(path);
    if (trust || trust.error().code != Errc::not_found) {
      return trust;
    }
  }
  return fail(Errc::not_found, std::string("this system has no list of CAs, as in ") + system_files.front());
}

std::unique_ptr<const TrustStore> TrustStore::nobody() {
  return std::unique_ptr<const TrustStore>(new TrustStore({}));
}

ChainResult TrustStore::verify(const STACK_OF(X509) & chain, PeerRole peer) const {
  POSTERN_ASSERT(sk_X509_num(&chain) > 0, "there is nothing to verify");
  if (names_.empty()) {
    return {.reason = "there is no CA that we trust"};
  }
  const bssl::UniquePtr<X509_STORE_CTX> validation(X509_STORE_CTX_new());
  POSTERN_ASSERT(validation != nullptr, "out of memory");
  ChainResult result{true, false, {}};
  // The library takes the peer's certificates by a pointer to non-const, and only reads.
  if (X509_STORE_CTX_init(validation.get(), store_.get(), sk_X509_value(&chain, 0),
                          const_cast<STACK_OF(X509)*>(&chain)) != 1 ||
      X509_STORE_CTX_set_default(validation.get(), peer == PeerRole::client ? "ssl_client" : "ssl_server") != 1) {
    result = {.reason = "the certificate cannot be judged"};
  } else if (X509_verify_cert(validation.get()) != 1) {
    result = distrust(X509_STORE_CTX_get_error(validation.get()));
  } else if (!only_cas_vouch(validation.get())) {
    result = distrust(X509_V_ERR_INVALID_CA);
  }
  ERR_clear_error();
  return result;
}

}  // namespace postern::tls
