#include "tls/ticket_keys.h"

#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "config/assert.h"
#include "config/file_use.h"
#include "tls/tlsa.h"

namespace postern::tls {
namespace {

constexpr std::size_t long_key = 80;
constexpr std::size_t short_key = 48;
static_assert(config::largest_file(config::FileUse::ticket_keys) == TicketKeys::max_keys * long_key);

std::shared_ptr<const TicketKey> key_from(std::string_view octets) {
  return std::make_shared<const TicketKey>(octets.substr(0, TicketKey::name_size), octets.substr(TicketKey::name_size));
}

}  // namespace

// --- one key

struct TicketKey::Aead {
  bssl::ScopedEVP_AEAD_CTX context;  // sealing and opening are safe from several threads at once
};

TicketKey::TicketKey(std::string_view name, std::string_view secret) : name_(name), aead_(std::make_unique<Aead>()) {
  POSTERN_ASSERT(name.size() == name_size, "a ticket key's name has a fixed size");
  // Its nonces are long enough to be drawn at random for as long as an operator keeps a key file.
  const EVP_AEAD* const aead = EVP_aead_xchacha20_poly1305();
  static_assert(SHA256_DIGEST_LENGTH == 32);
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> key;
  const std::string labelled = "postern session ticket" + std::string(secret);
  SHA256(reinterpret_cast<const std::uint8_t*>(labelled.data()), labelled.size(), key.data());
  const int made =
      EVP_AEAD_CTX_init(aead_->context.get(), aead, key.data(), key.size(), EVP_AEAD_DEFAULT_TAG_LENGTH, nullptr);
  OPENSSL_cleanse(key.data(), key.size());
  POSTERN_ASSERT(made == 1 && EVP_AEAD_nonce_length(aead) == nonce_size, "the TLS library lacks XChaCha20-Poly1305");
}

TicketKey::~TicketKey() = default;

bool TicketKey::has_name_of(std::span<const std::uint8_t> ticket) const {
  return ticket.size() >= overhead && std::memcmp(ticket.last(name_size).data(), name_.data(), name_size) == 0;
}

std::optional<std::size_t> TicketKey::seal(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) const {
  if (out.size() < in.size() + overhead) return std::nullopt;
  std::array<std::uint8_t, nonce_size> nonce;
  RAND_bytes(nonce.data(), nonce.size());
  std::size_t size = 0;
  const auto* name = reinterpret_cast<const std::uint8_t*>(name_.data());
  if (EVP_AEAD_CTX_seal(aead_->context.get(), out.data(), &size, out.size(), nonce.data(), nonce.size(), in.data(),
                        in.size(), name, name_size) != 1) {
    return std::nullopt;
  }
  std::copy(nonce.begin(), nonce.end(), out.begin() + static_cast<std::ptrdiff_t>(size));
  std::copy(name_.begin(), name_.end(), out.begin() + static_cast<std::ptrdiff_t>(size + nonce_size));
  return size + nonce_size + name_size;
}

std::optional<std::size_t> TicketKey::open(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) const {
  if (!has_name_of(in)) return std::nullopt;
  const auto nonce = in.last(nonce_size + name_size).first(nonce_size);
  const auto sealed = in.first(in.size() - nonce_size - name_size);
  const auto* name = reinterpret_cast<const std::uint8_t*>(name_.data());
  std::size_t size = 0;
  const int done = EVP_AEAD_CTX_open(aead_->context.get(), out.data(), &size, out.size(), nonce.data(), nonce.size(),
                                     sealed.data(), sealed.size(), name, name_size);
  ERR_clear_error();
  return done == 1 ? std::optional(size) : std::nullopt;
}

// --- all keys

TicketKeys::TicketKeys(config::Duration period, Clock clock)
    : period_(period),
      clock_(std::move(clock)),
      due_(period == config::Duration::zero() ? Time::max() : clock_() + period_) {}

std::shared_ptr<TicketKeys> TicketKeys::random(config::Duration rotate, Clock clock) {
  std::shared_ptr<TicketKeys> keys(new TicketKeys(rotate, std::move(clock)));
  keys->keys_.set(random_key_before(nullptr));
  return keys;
}

Result<std::shared_ptr<TicketKeys>> TicketKeys::shared(const std::string& path, std::string_view octets) {
  std::shared_ptr<TicketKeys> keys(new TicketKeys(config::Duration::zero(), std::chrono::steady_clock::now));
  const auto taken = keys->renew(path, octets);
  if (!taken) return tl::unexpected(taken.error());
  return keys;
}

Result<bool> TicketKeys::renew(const std::string& path, std::string_view octets) {
  auto parsed = parse_keys(path, octets);
  if (!parsed) return tl::unexpected(parsed.error());
  std::string digest = sha256(octets);
  if (digest == digest_) return false;
  keys_.set(std::move(*parsed));
  digest_ = std::move(digest);
  return true;
}

TicketKeys::Keys TicketKeys::current() {
  if (due_.load() == Time::max()) return keys_.get();
  const auto now = clock_();
  if (now >= due_.load()) {
    const std::lock_guard lock(rotation_);
    if (now >= due_.load()) rotate(now);
  }
  return keys_.get();
}

TicketKeys::Keys TicketKeys::random_key_before(std::shared_ptr<const TicketKey> previous) {
  std::string octets(long_key, '\0');
  RAND_bytes(reinterpret_cast<std::uint8_t*>(octets.data()), octets.size());
  std::vector<std::shared_ptr<const TicketKey>> keys = {key_from(octets)};
  OPENSSL_cleanse(octets.data(), octets.size());
  if (previous != nullptr) keys.push_back(std::move(previous));
  return std::make_shared<const std::vector<std::shared_ptr<const TicketKey>>>(std::move(keys));
}

void TicketKeys::rotate(Time now) {
  // Where nobody came for two periods, the current key has had its time as the previous one, too.
  const bool current_still_opens = now - due_.load() < period_;
  keys_.set(random_key_before(current_still_opens ? keys_.get()->front() : nullptr));
  due_ = now + period_;
}

Result<TicketKeys::Keys> TicketKeys::parse_keys(const std::string& path, std::string_view octets) {
  const std::size_t size = octets.size() % long_key == 0 ? long_key : short_key;
  if (octets.empty() || octets.size() % size != 0) {
    return fail(Errc::invalid_argument, path + " holds " + std::to_string(octets.size()) +
                                            " octets, but ticket keys take 80 or 48 each (openssl rand 80)");
  }
  std::vector<std::shared_ptr<const TicketKey>> keys;
  for (std::size_t at = 0; at < octets.size(); at += size) keys.push_back(key_from(octets.substr(at, size)));
  return std::make_shared<const std::vector<std::shared_ptr<const TicketKey>>>(std::move(keys));
}

}  // namespace postern::tls
