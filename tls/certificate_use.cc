#include "tls/certificate_use.h"

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstdint>
#include <utility>

#include "tls/certificates.h"
#include "tls/error.h"
#include "tls/key_use.h"
#include "tls/protocol_settings.h"

namespace postern::tls {
namespace {

constexpr std::array<std::pair<std::uint32_t, const char*>, 9> usage_names = {{
    {X509v3_KU_DIGITAL_SIGNATURE, "digitalSignature"},
    {X509v3_KU_NON_REPUDIATION, "nonRepudiation"},
    {X509v3_KU_KEY_ENCIPHERMENT, "keyEncipherment"},
    {X509v3_KU_DATA_ENCIPHERMENT, "dataEncipherment"},
    {X509v3_KU_KEY_AGREEMENT, "keyAgreement"},
    {X509v3_KU_KEY_CERT_SIGN, "keyCertSign"},
    {X509v3_KU_CRL_SIGN, "cRLSign"},
    {X509v3_KU_ENCIPHER_ONLY, "encipherOnly"},
    {X509v3_KU_DECIPHER_ONLY, "decipherOnly"},
}};

bssl::UniquePtr<X509> leaf_of(const Certificate& certificate) {
  bssl::UniquePtr<X509> leaf(X509_parse_from_buffer(certificate.chain.certificates.front().get()));
  ERR_clear_error();
  return leaf;
}

bool may_sign(X509& leaf) {
  return (X509_get_key_usage(&leaf) & X509v3_KU_DIGITAL_SIGNATURE) != 0;
}

// "keyUsage (keyEncipherment, dataEncipherment) lacks digitalSignature"
std::string lacks_signature(X509& leaf) {
  const std::uint32_t usage = X509_get_key_usage(&leaf);
  std::string names;
  for (const auto& [bit, name] : usage_names) {
    if ((usage & bit) != 0) names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return "keyUsage (" + (names.empty() ? "nothing" : names) + ") lacks digitalSignature";
}

// EcpkParameters that are no name (RFC 5480 2.1.1: only names are allowed in certificates).
bool has_explicit_curve(X509& certificate) {
  constexpr std::uint8_t ec_public_key[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
  std::uint8_t* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  const bssl::UniquePtr<std::uint8_t> owned(der);
  CBS all;
  CBS info;
  CBS algorithm;
  CBS oid;
  CBS_init(&all, der, size > 0 ? static_cast<std::size_t>(size) : 0);
  return CBS_get_asn1(&all, &info, CBS_ASN1_SEQUENCE) == 1 && CBS_get_asn1(&info, &algorithm, CBS_ASN1_SEQUENCE) == 1 &&
         CBS_get_asn1(&algorithm, &oid, CBS_ASN1_OBJECT) == 1 &&
         CBS_mem_equal(&oid, ec_public_key, sizeof ec_public_key) == 1 &&
         CBS_peek_asn1_tag(&algorithm, CBS_ASN1_SEQUENCE) == 1;
}

std::string cannot_be_used(const Certificate& certificate) {
  return "the certificate (" + certificate.chain.subject + ") cannot be used: ";
}

}  // namespace

std::optional<Error> set_certificate(SSL_CTX* context, const Certificate& certificate) {
  ERR_clear_error();
  if (KeyUse::set(context, certificate)) return std::nullopt;
  return Error{Errc::certificate, cannot_be_used(certificate) + take_error_reason()};
}

std::optional<Error> why_useless(const Certificate& certificate) {
  const auto leaf = leaf_of(certificate);
  if (leaf != nullptr && certificate.key.type != KeyType::rsa && !may_sign(*leaf)) {
    return Error{Errc::certificate, cannot_be_used(certificate) + "its " + lacks_signature(*leaf) +
                                        ", and signing is all that TLS does with such a key; have it issued anew"};
  }
  return set_certificate(new_ssl_ctx().get(), certificate);
}

std::vector<std::string> use_warnings(const Certificate& certificate, PeerRole shown_as) {
  const auto leaf = leaf_of(certificate);
  if (leaf == nullptr) return {};
  const bool as_client = shown_as == PeerRole::client;
  const std::string whose = "the certificate (" + certificate.chain.subject + ") ";
  std::vector<std::string> warnings;
  const std::uint32_t purposes = X509_get_extended_key_usage(leaf.get());
  const std::uint32_t wanted = as_client ? XKU_SSL_CLIENT : XKU_SSL_SERVER;
  if ((purposes & (wanted | XKU_ANYEKU)) == 0) {
    warnings.push_back(whose + (as_client
                                    ? "is not for clients (its extendedKeyUsage lacks clientAuth): no server that "
                                      "verifies clients takes it"
                                    : "is not for servers (its extendedKeyUsage lacks serverAuth): clients that "
                                      "verify servers refuse it"));
  }
  if (!may_sign(*leaf)) {
    warnings.push_back(whose + "may not sign: its " + lacks_signature(*leaf) + ", so that " +
                       (as_client ? "servers refuse it" : "many clients refuse it"));
  }
  return warnings;
}

std::string key_flaw(X509& certificate) {
  const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(&certificate));
  const std::string reason = key == nullptr ? take_error_reason() : std::string();
  ERR_clear_error();
  if (key != nullptr) return {};
  return has_explicit_curve(certificate)
             ? "describes its curve by explicit parameters instead of a name, which TLS does not allow (make the key "
               "with a named curve, as prime256v1)"
             : "has a public key that this TLS library cannot use (" + reason + ")";
}

}  // namespace postern::tls
