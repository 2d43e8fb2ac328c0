#include "tls/self_signed.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>

#include "tls/error.h"

namespace postern::tls {
namespace {

constexpr long an_hour = 3600;
constexpr long ninety_days = 90L * 24 * 3600;

bssl::UniquePtr<EVP_PKEY> make_key() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (!ec || !key || EC_KEY_generate_key(ec.get()) != 1 || EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) != 1) {
    return nullptr;
  }
  return key;
}

bool set_serial(X509* certificate) {
  std::uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<std::uint8_t*>(&serial), sizeof serial);
  return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1U) == 1;
}

bool set_name(X509* certificate, const std::string& name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const std::uint8_t*>(name.data()), static_cast<int>(name.size()),
                                    -1, 0) == 1 &&
         X509_set_issuer_name(certificate, subject) == 1;
}

bool add_dns_name(X509* certificate, const std::string& name) {
  bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  bssl::UniquePtr<GENERAL_NAME> entry(GENERAL_NAME_new());
  bssl::UniquePtr<ASN1_IA5STRING> text(ASN1_IA5STRING_new());
  if (!names || !entry || !text || ASN1_STRING_set(text.get(), name.data(), static_cast<int>(name.size())) != 1) {
    return false;
  }
  GENERAL_NAME_set0_value(entry.get(), GEN_DNS, text.release());
  return bssl::PushToStack(names.get(), std::move(entry)) &&
         X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

bssl::UniquePtr<X509> make_certificate(EVP_PKEY* key, const std::string& name) {
  bssl::UniquePtr<X509> certificate(X509_new());
  const bool made = certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
                    set_serial(certificate.get()) && set_name(certificate.get(), name) &&
                    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -an_hour) != nullptr &&
                    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), ninety_days) != nullptr &&
                    X509_set_pubkey(certificate.get(), key) == 1 && add_dns_name(certificate.get(), name) &&
                    X509_sign(certificate.get(), key, EVP_sha256()) != 0;
  return made ? std::move(certificate) : nullptr;
}

// What `write` puts into a memory BIO.
template <class Write>
std::string as_pem(Write write) {
  bssl::UniquePtr<BIO> memory(BIO_new(BIO_s_mem()));
  const std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  if (!memory || write(memory.get()) != 1 || BIO_mem_contents(memory.get(), &bytes, &size) != 1) return {};
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

Result<SelfSigned> make_self_signed(const std::string& name) {
  const auto key = make_key();
  const auto certificate = key ? make_certificate(key.get(), name) : nullptr;
  SelfSigned made;
  if (certificate) {
    made.certificate_pem = as_pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
    made.key_pem = as_pem(
        [&](BIO* out) { return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  }
  if (made.certificate_pem.empty() || made.key_pem.empty()) {
    return tl::unexpected(take_error(Errc::tls, "cannot make a certificate"));
  }
  return made;
}

}  // namespace postern::tls
