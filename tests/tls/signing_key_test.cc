#include "tls/signing_key.h"

#include <openssl/ssl.h>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tls/certificate_use.h"
#include "tls/certificates.h"

namespace postern::tls::signing_key_test {

using namespace test_support;

config::File elsewhere(std::string content) {
  config::File file;
  file.content = std::move(content);
  file.key_elsewhere = true;
  return file;
}

SigningKey held(const TestCertificate& made, bool decrypts = false) {
  auto key = SigningKey::parse("key", made.key_pem(), decrypts);
  REQUIRE(key.has_value());
  return std::move(*key);
}

// What is handed on in place of the file.
std::string public_form(const std::string& content) {
  auto key = SigningKey::parse("key", content, false);
  REQUIRE(key.has_value());
  return key->public_form("key", content);
}

TEST_CASE("signing key: the public form has nothing of the private key, and says the same of it") {
  for (const TestKey kind : {TestKey::p256, TestKey::p384, TestKey::p521, TestKey::rsa, TestKey::ed25519}) {
    CertificateWish wish;
    wish.key = kind;
    if (kind == TestKey::rsa) wish.existing_key = shared_rsa_key();
    const auto made = make_certificate(wish);
    const auto form = public_form(made.key_pem());
    CHECK(form.find("PRIVATE") == std::string::npos);
    const auto half = parse_private_key("key", elsewhere(form));
    config::File whole_file;
    whole_file.content = made.key_pem();
    const auto whole = parse_private_key("key", whole_file);
    REQUIRE((half.has_value() && whole.has_value()));
    CHECK(half->elsewhere == name_of(*whole->key));
    CHECK(half->elsewhere == held(made).name());
    CHECK(whole->elsewhere.empty());
    CHECK(half->type == whole->type);
    CHECK(half->group == whole->group);
    CHECK(half->tls13_signature == whole->tls13_signature);
    CHECK(half->warnings == whole->warnings);
  }
}

TEST_CASE("signing key: a file that holds the chain as well goes on holding it") {
  const auto made = make_certificate({});
  const auto file = elsewhere(public_form(made.certificate_pem() + made.key_pem()));
  auto chain = parse_chain("both", file.content);
  auto key = parse_private_key("both", file);
  REQUIRE((chain.has_value() && key.has_value()));
  const auto matched = match(std::move(*chain), std::move(*key));
  REQUIRE(matched.has_value());
  CHECK(use_warnings(**matched, PeerRole::server).empty());
}

TEST_CASE("signing key: half a key is matched like a whole one") {
  const auto made = make_certificate({});
  const auto other = make_certificate({});
  auto chain = parse_chain("chain", made.certificate_pem());
  auto key = parse_private_key("key", elsewhere(public_form(other.key_pem())));
  const auto matched = match(std::move(*chain), std::move(*key));
  REQUIRE_FALSE(matched.has_value());
  CHECK(matched.error().message.starts_with("the key does not belong to the certificate"));
}

TEST_CASE("signing key: an operator's file with a public key is no private key") {
  const auto made = make_certificate({});
  config::File file;
  file.content = public_form(made.key_pem());
  const auto key = parse_private_key("key", file);
  REQUIRE_FALSE(key.has_value());
  CHECK(key.error().message.find("holds no private key") != std::string::npos);
  CHECK_FALSE(SigningKey::parse("key", file.content, false).has_value());
  CHECK_FALSE(parse_private_key("key", elsewhere(made.key_pem())).has_value());
}

TEST_CASE("signing key: what a key does not do is refused before it is begun") {
  const auto refused = [](const SigningKey& key, KeyOperation operation, std::uint16_t scheme, std::size_t size) {
    const auto done = key.perform({key.name(), operation, scheme, std::string(size, 'o')});
    return !done && done.error().code == Errc::invalid_argument;
  };
  using enum KeyOperation;
  const auto p256 = held(make_certificate({}));
  CHECK(p256.perform({p256.name(), sign, SSL_SIGN_ECDSA_SECP256R1_SHA256, std::string(32, 'd')}).has_value());
  CHECK(refused(p256, sign, SSL_SIGN_ECDSA_SECP256R1_SHA256, 31));
  CHECK(refused(p256, sign, SSL_SIGN_ECDSA_SECP256R1_SHA256, 64));
  CHECK(refused(p256, sign, SSL_SIGN_RSA_PKCS1_SHA256, 32));
  CHECK(refused(p256, sign, SSL_SIGN_RSA_PKCS1_MD5_SHA1, 36));
  CHECK(refused(p256, sign, SSL_SIGN_ED25519, 32));
  CHECK(refused(p256, sign, 0, 32));
  CHECK(refused(p256, sign, 0xffff, 32));
  CHECK(refused(p256, decrypt, 0, 32));

  const auto ed25519 = held(make_certificate({.key = TestKey::ed25519}), true);
  CHECK(ed25519.perform({ed25519.name(), sign, SSL_SIGN_ED25519, "any message"}).has_value());
  CHECK(refused(ed25519, sign, SSL_SIGN_ED25519, KeyRequest::most_octets + 1));
  CHECK(refused(ed25519, sign, SSL_SIGN_ECDSA_SECP256R1_SHA256, 32));
  CHECK(refused(ed25519, decrypt, 0, 32));

  const auto rsa = make_certificate({.existing_key = shared_rsa_key()});
  const auto signs = held(rsa);
  CHECK(signs.perform({signs.name(), sign, SSL_SIGN_RSA_PSS_RSAE_SHA256, std::string(32, 'd')}).has_value());
  CHECK(signs.perform({signs.name(), sign, SSL_SIGN_RSA_PKCS1_MD5_SHA1, std::string(36, 'd')}).has_value());
  CHECK(refused(signs, sign, SSL_SIGN_RSA_PSS_RSAE_SHA256, 33));
  CHECK(refused(signs, sign, SSL_SIGN_ECDSA_SECP256R1_SHA256, 32));
  CHECK(refused(signs, decrypt, 0, 256));
  const auto decrypts = held(rsa, true);
  CHECK(decrypts.perform({decrypts.name(), decrypt, 0, std::string(256, '\1')}).has_value());
  CHECK(refused(decrypts, decrypt, 0, 255));
  CHECK_FALSE(decrypts.perform({decrypts.name(), decrypt, 0, std::string(256, '\xff')}).has_value());  // >= modulus
}

}  // namespace postern::tls::signing_key_test
