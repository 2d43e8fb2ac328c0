#include "tls/ticket_keys.h"

#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "config/assert.h"
#include "config/file.h"

namespace postern::tls {
namespace {

constexpr std::size_t long_key = 80;
constexpr std::size_t short_key = 48;

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
  if (out.size() < in.size() + overhead) {
    return std::nullopt;
  }
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
  if (!has_name_of(in)) {
    return std::nullopt;
  }
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

TicketKeys::TicketKeys(std::string path, config::Duration period, Clock clock)
    : path_(std::move(path)), period_(period), clock_(std::move(clock)), due_(clock_() + period_) {}

std::shared_ptr<TicketKeys> TicketKeys::random(config::Duration rotate, Clock clock) {
  std::shared_ptr<TicketKeys> keys(new TicketKeys({}, rotate, std::move(clock)));
  const std::lock_guard lock(keys->mutex_);
  keys->keys_ = random_key_before(nullptr);
  return keys;
}

Result<std::shared_ptr<TicketKeys>> TicketKeys::from_file(const std::string& path, Clock clock) {
  std::shared_ptr<TicketKeys> keys(new TicketKeys(path, reread_interval, std::move(clock)));
  const std::lock_guard lock(keys->mutex_);
  keys->version_ = version_of(path);
  auto read = read_keys(path);
  if (!read) {
    return tl::unexpected(read.error());
  }
  keys->keys_ = std::move(*read);
  return keys;
}

TicketKeys::Keys TicketKeys::current() {
  const auto now = clock_();
  const std::lock_guard lock(mutex_);
  if (now >= due_) {
    if (path_.empty()) {
      rotate(now);
    } else {
      reread();
      due_ = now + period_;
    }
  }
  return keys_;
}

TicketKeys::Keys TicketKeys::random_key_before(std::shared_ptr<const TicketKey> previous) {
  std::string octets(long_key, '\0');
  RAND_bytes(reinterpret_cast<std::uint8_t*>(octets.data()), octets.size());
  std::vector<std::shared_ptr<const TicketKey>> keys = {key_from(octets)};
  OPENSSL_cleanse(octets.data(), octets.size());
  if (previous != nullptr) {
    keys.push_back(std::move(previous));
  }
  return std::make_shared<const std::vector<std::shared_ptr<const TicketKey>>>(std::move(keys));
}

void TicketKeys::rotate(std::chrono::steady_clock::time_point now) {
  // Where nobody came for two periods, the current key has had its time as the previous one, too.
  const bool current_still_opens = now - due_ < period_;
  keys_ = random_key_before(current_still_opens ? keys_->front() : nullptr);
  due_ = now + period_;
}

void TicketKeys::reread() {
  const auto version = version_of(path_);
  if (!version || version == version_) {
    return;
  }
  if (auto read = read_keys(path_)) {
    keys_ = std::move(*read);
    version_ = version;
  }
}

std::optional<TicketKeys::FileVersion> TicketKeys::version_of(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    return std::nullopt;
  }
  return FileVersion{status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino, status.st_size};
}

Result<TicketKeys::Keys> TicketKeys::read_keys(const std::string& path) {
  auto file = config::read_file(path, max_keys * long_key);
  if (!file) {
    return tl::unexpected(file.error());
  }
  const std::string_view octets = file->content;
  const std::size_t size = octets.size() % long_key == 0 ? long_key : short_key;
  if (octets.empty() || octets.size() % size != 0) {
    return fail(Errc::invalid_argument, path + " holds " + std::to_string(octets.size()) +
                                            " octets, but ticket keys take 80 or 48 each (openssl rand 80)");
  }
  std::vector<std::shared_ptr<const TicketKey>> keys;
  for (std::size_t at = 0; at < octets.size(); at += size) {
    keys.push_back(key_from(octets.substr(at, size)));
  }
  OPENSSL_cleanse(file->content.data(), file->content.size());
  return std::make_shared<const std::vector<std::shared_ptr<const TicketKey>>>(std::move(keys));
}

}  // namespace postern::tls
