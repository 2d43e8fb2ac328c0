#include "tls/signing_key.h"

#include <openssl/bio.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include <utility>

#include "config/assert.h"
#include "tls/error.h"
#include "tls/pem.h"
#include "tls/signatures.h"

namespace postern::tls {
namespace {

const std::uint8_t* octets_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

std::uint8_t* room_in(std::string& text) {
  return reinterpret_cast<std::uint8_t*>(text.data());
}

Result<PrivateKey> parse_key(const std::string& path, std::string_view content) {
  config::File file;
  file.content = content;
  auto key = parse_private_key(path, file);
  OPENSSL_cleanse(file.content.data(), file.content.size());
  return key;
}

tl::unexpected<Error> does_not_fit(const std::string& what) {
  return fail(Errc::invalid_argument, what);
}

// TLS 1.1 and below sign two digests at once, which no scheme stands for.
bool can_sign(const PrivateKey& key, std::uint16_t scheme) {
  const bool is_old = scheme == SSL_SIGN_RSA_PKCS1_MD5_SHA1;
  return is_old ? key.type == KeyType::rsa : can_sign_below_tls13(key, scheme);
}

bool set_padding(EVP_PKEY_CTX* context, std::uint16_t scheme) {
  if (SSL_is_signature_algorithm_rsa_pss(scheme) == 1) {
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, -1) == 1;  // as long as the digest (RFC 8446 4.2.3)
  }
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
}

Result<std::string> sign_digest(EVP_PKEY* key, std::uint16_t scheme, std::string_view digest) {
  const bssl::UniquePtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key, nullptr));
  POSTERN_ASSERT(context != nullptr, "out of memory");
  std::string signature(static_cast<std::size_t>(EVP_PKEY_size(key)), '\0');
  std::size_t size = signature.size();
  const bool ready = EVP_PKEY_sign_init(context.get()) == 1 &&
                     EVP_PKEY_CTX_set_signature_md(context.get(), SSL_get_signature_algorithm_digest(scheme)) == 1 &&
                     (EVP_PKEY_id(key) != EVP_PKEY_RSA || set_padding(context.get(), scheme));
  if (!ready || EVP_PKEY_sign(context.get(), room_in(signature), &size, octets_of(digest), digest.size()) != 1) {
    return tl::unexpected(take_error(Errc::tls, "cannot sign"));
  }
  signature.resize(size);
  return signature;
}

Result<std::string> sign_message(EVP_PKEY* key, std::string_view message) {
  bssl::ScopedEVP_MD_CTX context;
  std::string signature(static_cast<std::size_t>(EVP_PKEY_size(key)), '\0');
  std::size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), room_in(signature), &size, octets_of(message), message.size()) != 1) {
    return tl::unexpected(take_error(Errc::tls, "cannot sign"));
  }
  signature.resize(size);
  return signature;
}

}  // namespace

Result<SigningKey> SigningKey::parse(const std::string& path, std::string_view content, bool decrypts) {
  auto parsed = parse_key(path, content);
  if (!parsed) return tl::unexpected(parsed.error());
  SigningKey key;
  key.name_ = name_of(*parsed->key);
  key.key_ = std::move(*parsed);
  key.decrypts_ = decrypts && key.key_.type == KeyType::rsa;
  return key;
}

Result<std::string> SigningKey::perform(const KeyRequest& request) const {
  ERR_clear_error();
  switch (request.operation) {
    case KeyOperation::sign: return sign(request);
    case KeyOperation::decrypt: return decrypt(request);
  }
  return does_not_fit("no such operation");
}

Result<std::string> SigningKey::sign(const KeyRequest& request) const {
  if (!can_sign(key_, request.scheme)) return does_not_fit("the key cannot sign like that");
  if (request.scheme == SSL_SIGN_ED25519) {
    if (request.octets.size() > KeyRequest::most_octets) return does_not_fit("too much is to be signed");
    return sign_message(key_.key.get(), request.octets);
  }
  const EVP_MD* const digest = SSL_get_signature_algorithm_digest(request.scheme);
  if (digest == nullptr || EVP_MD_size(digest) != request.octets.size()) return does_not_fit("no digest of that size");
  return sign_digest(key_.key.get(), request.scheme, request.octets);
}

Result<std::string> SigningKey::decrypt(const KeyRequest& request) const {
  if (!decrypts_) return does_not_fit("nothing is decrypted with this key");
  std::string plain(static_cast<std::size_t>(EVP_PKEY_size(key_.key.get())), '\0');
  if (request.octets.size() != plain.size()) return does_not_fit("nothing of the modulus' size");
  std::size_t size = 0;
  if (RSA_decrypt(EVP_PKEY_get0_RSA(key_.key.get()), &size, room_in(plain), plain.size(), octets_of(request.octets),
                  request.octets.size(), RSA_NO_PADDING) != 1) {
    return tl::unexpected(take_error(Errc::tls, "cannot decrypt"));
  }
  plain.resize(size);
  return plain;
}

std::string SigningKey::public_form(const std::string& path, std::string_view content) const {
  const bssl::UniquePtr<BIO> text(BIO_new(BIO_s_mem()));
  bool written = text != nullptr;
  // The same file may be named for its chain.
  if (const auto chain = parse_pem_certificates(path, content, PemUse::chain)) {
    for (const PemCertificate& one : chain->certificates) {
      written = written && PEM_write_bio_X509(text.get(), one.parsed.get()) == 1;
    }
  }
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
  written = written && PEM_write_bio_PUBKEY(text.get(), key_.key.get()) == 1 &&
            BIO_mem_contents(text.get(), &data, &size) == 1;
  POSTERN_ASSERT(written, "out of memory");
  return {data, data + size};
}

}  // namespace postern::tls
