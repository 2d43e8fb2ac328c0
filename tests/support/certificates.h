// Certificates and keys made on the spot, so that no test depends on a file that expires.
#pragma once

#include <openssl/asn1.h>
#include <openssl/base.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/temp_directory.h"

namespace postern::test_support {

enum class TestKey : std::uint8_t { p256, p384, p521, rsa, ed25519, rsa1024 };

inline bssl::UniquePtr<EVP_PKEY> make_ec_key(int curve) {
  const bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(curve));
  EC_KEY_generate_key(ec.get());
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  EVP_PKEY_set1_EC_KEY(key.get(), ec.get());
  return key;
}

inline bssl::UniquePtr<EVP_PKEY> make_rsa_key(int bits) {
  const bssl::UniquePtr<RSA> rsa(RSA_new());
  const bssl::UniquePtr<BIGNUM> exponent(BN_new());
  BN_set_word(exponent.get(), RSA_F4);
  RSA_generate_key_ex(rsa.get(), bits, exponent.get(), nullptr);
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  EVP_PKEY_set1_RSA(key.get(), rsa.get());
  return key;
}

inline bssl::UniquePtr<EVP_PKEY> make_key(TestKey kind) {
  switch (kind) {
    case TestKey::p256: return make_ec_key(NID_X9_62_prime256v1);
    case TestKey::p384: return make_ec_key(NID_secp384r1);
    case TestKey::p521: return make_ec_key(NID_secp521r1);
    case TestKey::rsa: return make_rsa_key(2048);
    case TestKey::rsa1024: return make_rsa_key(1024);
    case TestKey::ed25519: {
      std::uint8_t seed[32];
      RAND_bytes(seed, sizeof seed);
      return bssl::UniquePtr<EVP_PKEY>(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed, sizeof seed));
    }
  }
  return nullptr;
}

// A certificate with its key; sharing one is cheap.
struct TestCertificate {
  std::shared_ptr<EVP_PKEY> key;
  std::shared_ptr<X509> certificate;

  std::string certificate_pem() const;
  std::string key_pem() const;
  std::string encrypted_key_pem(const std::string& passphrase) const;
  std::string der() const;
};

struct CertificateWish {
  std::string common_name = "mx.example.org";
  std::vector<std::string> dns_names = {};  // SAN; none: no SAN
  TestKey key = TestKey::p256;
  bool is_ca = false;
  int valid_from_days = -1;  // from now
  int valid_until_days = 90;
  int extended_key_usage = NID_undef;           // NID_client_auth, NID_server_auth; undef: for anything
  const TestCertificate* issuer = nullptr;      // none: self-signed
  std::vector<int> key_usage = {};              // bits of RFC 5280 4.2.1.3, 0 is digitalSignature; none: for anything
  std::shared_ptr<EVP_PKEY> existing_key = {};  // in place of a new one (RSA keys are slow to make)
};

inline void add_extension(X509& certificate, int nid, void* value) {
  X509_add1_ext_i2d(&certificate, nid, value, nid == NID_basic_constraints ? 1 : 0, X509V3_ADD_APPEND);
}

inline void add_dns_names(X509& certificate, const std::vector<std::string>& names) {
  if (names.empty()) {
    return;
  }
  const bssl::UniquePtr<GENERAL_NAMES> all(GENERAL_NAMES_new());
  for (const std::string& name : names) {
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, name.data(), static_cast<int>(name.size()));
    bssl::UniquePtr<GENERAL_NAME> general(GENERAL_NAME_new());
    GENERAL_NAME_set0_value(general.get(), GEN_DNS, text);
    bssl::PushToStack(all.get(), std::move(general));
  }
  add_extension(certificate, NID_subject_alt_name, all.get());
}

inline TestCertificate make_certificate(const CertificateWish& wish) {
  TestCertificate made;
  made.key =
      wish.existing_key ? wish.existing_key : std::shared_ptr<EVP_PKEY>(make_key(wish.key).release(), EVP_PKEY_free);
  made.certificate.reset(X509_new(), X509_free);
  X509& certificate = *made.certificate;
  X509_set_version(&certificate, 2);
  std::uint32_t serial = 0;
  RAND_bytes(reinterpret_cast<std::uint8_t*>(&serial), sizeof serial);
  ASN1_INTEGER_set(X509_get_serialNumber(&certificate), static_cast<long>(serial >> 1) + 1);
  constexpr long day = 86400;
  X509_gmtime_adj(X509_getm_notBefore(&certificate), wish.valid_from_days * day);
  X509_gmtime_adj(X509_getm_notAfter(&certificate), wish.valid_until_days * day);
  if (!wish.common_name.empty()) {
    X509_NAME_add_entry_by_txt(X509_get_subject_name(&certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.common_name.data()),
                               static_cast<int>(wish.common_name.size()), -1, 0);
  }
  X509_set_pubkey(&certificate, made.key.get());
  if (wish.is_ca) {
    const std::unique_ptr<BASIC_CONSTRAINTS, decltype(&BASIC_CONSTRAINTS_free)> ca(BASIC_CONSTRAINTS_new(),
                                                                                   BASIC_CONSTRAINTS_free);
    ca->ca = 0xff;
    add_extension(certificate, NID_basic_constraints, ca.get());
  }
  if (wish.extended_key_usage != NID_undef) {
    const std::unique_ptr<EXTENDED_KEY_USAGE, decltype(&EXTENDED_KEY_USAGE_free)> usage(EXTENDED_KEY_USAGE_new(),
                                                                                        EXTENDED_KEY_USAGE_free);
    bssl::PushToStack(usage.get(), bssl::UniquePtr<ASN1_OBJECT>(OBJ_nid2obj(wish.extended_key_usage)));
    add_extension(certificate, NID_ext_key_usage, usage.get());
  }
  if (!wish.key_usage.empty()) {
    const bssl::UniquePtr<ASN1_BIT_STRING> usage(ASN1_BIT_STRING_new());
    for (const int bit : wish.key_usage) {
      ASN1_BIT_STRING_set_bit(usage.get(), bit, 1);
    }
    add_extension(certificate, NID_key_usage, usage.get());
  }
  add_dns_names(certificate, wish.dns_names);
  const TestCertificate& issuer = wish.issuer == nullptr ? made : *wish.issuer;
  X509_set_issuer_name(&certificate, X509_get_subject_name(issuer.certificate.get()));
  const bool hashes_itself = EVP_PKEY_id(issuer.key.get()) == EVP_PKEY_ED25519;
  X509_sign(&certificate, issuer.key.get(), hashes_itself ? nullptr : EVP_sha256());
  return made;
}

// One RSA-2048 key for the whole run: making one takes a second on a slow day.
inline std::shared_ptr<EVP_PKEY> shared_rsa_key() {
  static const std::shared_ptr<EVP_PKEY> key(make_rsa_key(2048).release(), EVP_PKEY_free);
  return key;
}

inline std::string bio_text(BIO* bio) {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
  BIO_mem_contents(bio, &data, &size);
  return {data, data + size};
}

inline std::string TestCertificate::certificate_pem() const {
  const bssl::UniquePtr<BIO> text(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(text.get(), certificate.get());
  return bio_text(text.get());
}

inline std::string TestCertificate::key_pem() const {
  const bssl::UniquePtr<BIO> text(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return bio_text(text.get());
}

inline std::string TestCertificate::encrypted_key_pem(const std::string& passphrase) const {
  const bssl::UniquePtr<BIO> text(BIO_new(BIO_s_mem()));
  std::string writable = passphrase;  // older libraries want a char*
  PEM_write_bio_PKCS8PrivateKey(text.get(), key.get(), EVP_aes_128_cbc(), writable.data(),
                                static_cast<int>(writable.size()), nullptr, nullptr);
  return bio_text(text.get());
}

inline std::string TestCertificate::der() const {
  std::uint8_t* data = nullptr;
  const int size = i2d_X509(certificate.get(), &data);
  const bssl::UniquePtr<std::uint8_t> owned(data);
  return {data, data + size};
}

}  // namespace postern::test_support
