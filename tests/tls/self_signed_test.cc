#include "tls/self_signed.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tests/support/catch.h"

namespace self_signed_test {

bssl::UniquePtr<BIO> memory(const std::string& text) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

TEST_CASE("self signed: certificate and key belong together and name the host") {
  const auto made = postern::tls::make_self_signed("demo.example");
  REQUIRE(made);
  const bssl::UniquePtr<X509> certificate(
      PEM_read_bio_X509(memory(made->certificate_pem).get(), nullptr, nullptr, nullptr));
  const bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(memory(made->key_pem).get(), nullptr, nullptr, nullptr));
  REQUIRE(certificate);
  REQUIRE(key);
  CHECK(X509_check_private_key(certificate.get(), key.get()) == 1);
  CHECK(X509_verify(certificate.get(), key.get()) == 1);
  const auto names = [&](std::string_view host) {
    return X509_check_host(certificate.get(), host.data(), host.size(), 0, nullptr) == 1;
  };
  CHECK(names("demo.example"));
  CHECK_FALSE(names("other.example"));
  CHECK(X509_cmp_current_time(X509_get0_notBefore(certificate.get())) < 0);
  CHECK(X509_cmp_current_time(X509_get0_notAfter(certificate.get())) > 0);
}

}  // namespace self_signed_test
