#include "tls/client_hello.h"

#include <openssl/bytestring.h>
#include <openssl/tls1.h>

#include <algorithm>
#include <optional>

#include "tls/signatures.h"

namespace postern::tls {
namespace {

std::optional<CBS> extension(const SSL_CLIENT_HELLO& hello, std::uint16_t type) {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
  if (SSL_early_callback_ctx_extension_get(&hello, type, &data, &size) != 1) return std::nullopt;
  CBS body;
  CBS_init(&body, data, size);
  return body;
}

// Any of a list of 16-bit numbers.
template <class Predicate>
bool any_u16(CBS list, Predicate wanted) {
  std::uint16_t number = 0;
  while (CBS_get_u16(&list, &number) == 1) {
    if (wanted(number)) return true;
  }
  return false;
}

bool speaks_tls13(const SSL_CLIENT_HELLO& hello) {
  auto body = extension(hello, TLSEXT_TYPE_supported_versions);
  CBS versions;
  return body && CBS_get_u8_length_prefixed(&*body, &versions) == 1 &&
         any_u16(versions, [](std::uint16_t version) { return version == TLS1_3_VERSION; });
}

// The extension's list of 16-bit numbers; nothing where the extension is absent or broken (which the handshake
// notices).
std::optional<CBS> u16_list(const SSL_CLIENT_HELLO& hello, std::uint16_t type) {
  auto body = extension(hello, type);
  CBS list;
  return body && CBS_get_u16_length_prefixed(&*body, &list) == 1 ? std::optional(list) : std::nullopt;
}

bool can_verify_tls13(CBS schemes, const PrivateKey& key) {
  return any_u16(schemes, [&key](std::uint16_t scheme) { return can_sign_tls13(key, scheme); });
}

// ECDSA below TLS 1.3 takes a cipher suite of its own, and the curve among the client's groups (RFC 8422 5.1).
bool can_use_ecdsa_below_tls13(const SSL_CLIENT_HELLO& hello, const PrivateKey& key, const ServerAbilities& abilities) {
  CBS suites;
  CBS_init(&suites, hello.cipher_suites, hello.cipher_suites_len);
  const auto& ours = abilities.ecdsa_ciphers;
  if (!any_u16(suites,
               [&ours](std::uint16_t suite) { return std::find(ours.begin(), ours.end(), suite) != ours.end(); })) {
    return false;
  }
  const auto groups = u16_list(hello, TLSEXT_TYPE_supported_groups);
  return key.group == 0 || !groups || any_u16(*groups, [&key](std::uint16_t group) { return group == key.group; });
}

bool can_verify_below_tls13(const SSL_CLIENT_HELLO& hello, const PrivateKey& key, const ServerAbilities& abilities) {
  if (key.type != KeyType::rsa && !can_use_ecdsa_below_tls13(hello, key, abilities)) return false;
  const auto schemes = u16_list(hello, TLSEXT_TYPE_signature_algorithms);
  if (!schemes) {
    return key.type != KeyType::ed25519;  // TLS 1.1 and older; RFC 5246 7.4.1.4.1: SHA-1 with either
  }
  return any_u16(*schemes, [&key](std::uint16_t scheme) { return can_sign_below_tls13(key, scheme); });
}

}  // namespace

bool can_verify(const SSL_CLIENT_HELLO& hello, const PrivateKey& key, const ServerAbilities& abilities) {
  if (abilities.max_version >= TLS1_3_VERSION && speaks_tls13(hello)) {
    const auto schemes = u16_list(hello, TLSEXT_TYPE_signature_algorithms);
    return schemes && can_verify_tls13(*schemes, key);
  }
  return can_verify_below_tls13(hello, key, abilities);
}

}  // namespace postern::tls
