#include "tls/key_use.h"

#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "tls/certificates.h"
#include "tls/span_bio.h"

namespace postern::tls {
namespace {

// Where a context, and a connection whose key was chosen later, keep the key that they use.
int context_index() {
  static const int made = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return made;
}
int connection_index() {
  static const int made = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return made;
}

const PrivateKey* key_of(const SSL* ssl) {
  const void* const own = SSL_get_ex_data(ssl, connection_index());
  return static_cast<const PrivateKey*>(own != nullptr ? own
                                                       : SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index()));
}

// What is signed with the scheme: its digest, which the library leaves to us (in TLS 1.2 a client signs all that was
// said), or the message itself.
std::optional<std::string> to_be_signed(std::uint16_t scheme, std::string_view message) {
  if (scheme == SSL_SIGN_ED25519) return std::string(message);
  const EVP_MD* const hash = SSL_get_signature_algorithm_digest(scheme);
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (hash == nullptr || EVP_Digest(message.data(), message.size(), digest.data(), &size, hash, nullptr) != 1) {
    return std::nullopt;
  }
  return std::string(digest.data(), digest.data() + size);
}

ssl_private_key_result_t begin(SSL* ssl, KeyOperation operation, std::uint16_t scheme,
                               std::optional<std::string> octets) {
  KeyUse* const use = round_of(SSL_get_rbio(ssl)).key_use;
  const PrivateKey* const key = key_of(ssl);
  if (use == nullptr || key == nullptr || !octets) return ssl_private_key_failure;
  return use->begin({key->elsewhere, operation, scheme, std::move(*octets)}) ? ssl_private_key_retry
                                                                             : ssl_private_key_failure;
}

std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

ssl_private_key_result_t sign(SSL* ssl, std::uint8_t*, std::size_t*, std::size_t, std::uint16_t scheme,
                              const std::uint8_t* in, std::size_t in_size) noexcept {
  return begin(ssl, KeyOperation::sign, scheme, to_be_signed(scheme, text(in, in_size)));
}

ssl_private_key_result_t decrypt(SSL* ssl, std::uint8_t*, std::size_t*, std::size_t, const std::uint8_t* in,
                                 std::size_t in_size) noexcept {
  KeyUse* const use = round_of(SSL_get_rbio(ssl)).key_use;
  const PrivateKey* const key = key_of(ssl);
  if (use == nullptr || key == nullptr) return ssl_private_key_failure;
  // The peer decides how much it sends: what cannot be right is nobody's work.
  if (in_size != static_cast<std::size_t>(EVP_PKEY_size(key->key.get()))) {
    use->peers_fault("its part of the key exchange is not as long as our key");
    return ssl_private_key_failure;
  }
  return begin(ssl, KeyOperation::decrypt, 0, std::string(text(in, in_size)));
}

ssl_private_key_result_t complete(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t max_out) noexcept {
  KeyUse* const use = round_of(SSL_get_rbio(ssl)).key_use;
  if (use == nullptr) return ssl_private_key_failure;
  const auto taken = use->take({out, max_out}, *out_size);
  if (!taken) return ssl_private_key_retry;
  return *taken ? ssl_private_key_success : ssl_private_key_failure;
}

constexpr SSL_PRIVATE_KEY_METHOD method = {sign, decrypt, complete};

// The library only reads of what it keeps for us.
void* as_data(const PrivateKey& key) {
  return const_cast<PrivateKey*>(&key);
}

}  // namespace

bool KeyUse::set(SSL_CTX* context, const Certificate& certificate) {
  const std::vector<CRYPTO_BUFFER*> chain = borrowed(certificate.chain);
  const PrivateKey& key = certificate.key;
  if (key.elsewhere.empty()) {
    return SSL_CTX_set_chain_and_key(context, chain.data(), chain.size(), key.key.get(), nullptr) == 1;
  }
  return SSL_CTX_set_chain_and_key(context, chain.data(), chain.size(), nullptr, &method) == 1 &&
         SSL_CTX_set_ex_data(context, context_index(), as_data(key)) == 1;
}

bool KeyUse::set(SSL* ssl, const Certificate& certificate) {
  const std::vector<CRYPTO_BUFFER*> chain = borrowed(certificate.chain);
  const PrivateKey& key = certificate.key;
  if (key.elsewhere.empty()) {
    return SSL_set_chain_and_key(ssl, chain.data(), chain.size(), key.key.get(), nullptr) == 1;
  }
  return SSL_set_chain_and_key(ssl, chain.data(), chain.size(), nullptr, &method) == 1 &&
         SSL_set_ex_data(ssl, connection_index(), as_data(key)) == 1;
}

void KeyUse::peers_fault(std::string why) {
  peers_fault_ = true;
  failure_ = std::move(why);
}

bool KeyUse::begin(const KeyRequest& request) {
  if (std::exchange(used_, true)) {
    failure_ = "a handshake uses its key once";
    return false;
  }
  if (request.octets.size() > KeyRequest::most_octets) {
    failure_ = "more is to be signed with Ed25519 than can be sent for it";
    return false;
  }
  auto asked = signer_.ask(request, [this](Result<std::string> answer) { answered(std::move(answer)); });
  if (asked) {
    ticket_ = std::move(*asked);
  } else {
    failure_ = std::move(asked.error().message);
  }
  return asked.has_value();
}

void KeyUse::answered(Result<std::string> answer) {
  ticket_.reset();
  if (answer) {
    answer_ = std::move(*answer);
  } else {
    failure_ = std::move(answer.error().message);
  }
  const auto on_answer = std::move(on_answer_);
  on_answer();  // the end of this, perhaps
}

std::optional<bool> KeyUse::take(std::span<std::uint8_t> room, std::size_t& size) {
  if (!failure_.empty()) return false;
  if (!answer_) return std::nullopt;
  if (answer_->size() > room.size()) {
    failure_ = "a signature is too long";
    return false;
  }
  std::copy(answer_->begin(), answer_->end(), room.begin());
  size = answer_->size();
  return true;
}

}  // namespace postern::tls
