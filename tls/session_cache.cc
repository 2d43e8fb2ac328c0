#include "tls/session_cache.h"

#include <openssl/err.h>
#include <openssl/pool.h>

#include <utility>

#include "config/assert.h"

namespace postern::tls {
namespace {

// What a session costs beside its ticket and chain: the object, secrets, containers. Measured, and rounded up.
constexpr std::size_t fixed_octets = 768;

// Where an SSL keeps its SessionUse.
int session_use_index() {
  static const int made = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return made;
}

std::size_t chain_octets(const SSL_SESSION& session) {
  const STACK_OF(CRYPTO_BUFFER)* chain = SSL_SESSION_get0_peer_certificates(&session);
  std::size_t octets = 0;
  for (std::size_t i = 0; chain != nullptr && i < sk_CRYPTO_BUFFER_num(chain); ++i) {
    octets += CRYPTO_BUFFER_len(sk_CRYPTO_BUFFER_value(chain, i));
  }
  return octets;
}

std::size_t ticket_octets(const SSL_SESSION& session) {
  const std::uint8_t* ticket = nullptr;
  std::size_t size = 0;
  SSL_SESSION_get0_ticket(&session, &ticket, &size);
  return size;
}

// The contexts' pool makes equal certificates the same object.
bool show_same_chain(const SSL_SESSION& one, const SSL_SESSION& other) {
  const STACK_OF(CRYPTO_BUFFER)* left = SSL_SESSION_get0_peer_certificates(&one);
  const STACK_OF(CRYPTO_BUFFER)* right = SSL_SESSION_get0_peer_certificates(&other);
  if (sk_CRYPTO_BUFFER_num(left) != sk_CRYPTO_BUFFER_num(right)) return false;
  for (std::size_t i = 0; i < sk_CRYPTO_BUFFER_num(left); ++i) {
    if (sk_CRYPTO_BUFFER_value(left, i) != sk_CRYPTO_BUFFER_value(right, i)) return false;
  }
  return true;
}

bool is_alive(const SSL_SESSION& session, std::chrono::sys_seconds at) {
  const auto now = static_cast<std::uint64_t>(at.time_since_epoch().count());
  const std::uint64_t made = SSL_SESSION_get_time(&session);
  return now >= made && now - made < SSL_SESSION_get_timeout(&session);
}

}  // namespace

std::chrono::sys_seconds SessionCache::now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

void SessionCache::enable(SSL_CTX* context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
    auto* use = static_cast<SessionUse*>(SSL_get_ex_data(ssl, session_use_index()));
    if (use == nullptr) return 0;
    use->cache_.put(use->key_, bssl::UniquePtr<SSL_SESSION>(session));
    return 1;
  });
}

bool SessionCache::is_worth_keeping(const SSL_SESSION& session) const {
  const std::size_t chain = chain_octets(session);
  return SSL_SESSION_is_resumable(&session) == 1 && chain > 0 && chain <= limits_.chain &&
         ticket_octets(session) <= limits_.ticket;
}

bssl::UniquePtr<SSL_SESSION> SessionCache::take(const std::string& key) {
  const std::chrono::sys_seconds at = clock_();
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const auto entry = found->second;
  entries_.splice(entries_.begin(), entries_, entry);
  std::erase_if(entry->sessions, [at](const auto& session) { return !is_alive(*session, at); });
  bssl::UniquePtr<SSL_SESSION> taken;
  if (!entry->sessions.empty()) {
    taken = bssl::UpRef(entry->sessions.back());
    if (SSL_SESSION_should_be_single_use(taken.get()) == 1) entry->sessions.pop_back();
  }
  recount(*entry);
  if (entry->sessions.empty()) drop(entry);
  return taken;
}

void SessionCache::put(const std::string& key, bssl::UniquePtr<SSL_SESSION> session) {
  if (!is_worth_keeping(*session)) return;
  const std::lock_guard lock(mutex_);
  Entry& entry = entry_of(key);
  auto& sessions = entry.sessions;
  const bool together = !sessions.empty() && SSL_SESSION_should_be_single_use(session.get()) == 1 &&
                        SSL_SESSION_should_be_single_use(sessions.back().get()) == 1 &&
                        show_same_chain(*session, *sessions.back());
  if (!together) {
    sessions.clear();
  } else if (sessions.size() >= limits_.sessions_per_key) {
    sessions.erase(sessions.begin());
  }
  sessions.push_back(std::move(session));
  recount(entry);
  while (entries_.size() > limits_.keys || (octets_ > limits_.octets && entries_.size() > 1)) {
    drop(std::prev(entries_.end()));
  }
}

void SessionCache::forget(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) drop(found->second);
}

std::size_t SessionCache::keys() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::size_t SessionCache::octets() const {
  const std::lock_guard lock(mutex_);
  return octets_;
}

// The key's entry, now the most recently used.
SessionCache::Entry& SessionCache::entry_of(const std::string& key) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
  } else {
    entries_.push_front({key, {}, 0});
    by_key_.emplace(entries_.front().key, entries_.begin());
  }
  return entries_.front();
}

void SessionCache::recount(Entry& entry) {
  std::size_t octets = entry.key.size();
  for (const auto& session : entry.sessions) octets += fixed_octets + ticket_octets(*session);
  octets += entry.sessions.empty() ? 0 : chain_octets(*entry.sessions.front());
  octets_ = octets_ - entry.octets + octets;
  entry.octets = octets;
}

void SessionCache::drop(Entries::iterator entry) {
  octets_ -= entry->octets;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

SessionUse::SessionUse(SessionCache& cache, std::string key, SSL* ssl, bool offer)
    : cache_(cache), key_(std::move(key)) {
  const bool set = SSL_set_ex_data(ssl, session_use_index(), this) == 1;
  POSTERN_ASSERT(set, "out of memory");
  const auto session = offer ? cache_.take(key_) : nullptr;
  if (session != nullptr) suspect_ = SSL_set_session(ssl, session.get()) == 1;
}

SessionUse::~SessionUse() {
  if (suspect_) cache_.forget(key_);
}

}  // namespace postern::tls
