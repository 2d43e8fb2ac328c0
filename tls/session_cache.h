// TLS sessions that servers gave us, to be resumed by the next connection to the same server.
#pragma once

#include <openssl/base.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace postern::tls {

// A key says all that two connections must have in common to share a session; the least recently used goes first.
// Sessions of TLS 1.3 are handed out once (RFC 8446 C.4), older ones until they expire. Thread-safe.
class SessionCache {
 public:
  struct Limits {
    std::size_t keys = 10'000;
    std::size_t sessions_per_key = 64;  // as many connections at once can resume
    std::size_t octets = std::size_t{64} << 20;
    std::size_t ticket = 8 * 1024;  // a session with a larger ticket or chain is not kept
    std::size_t chain = 32 * 1024;
  };
  using Clock = std::function<std::chrono::sys_seconds()>;

  SessionCache() : SessionCache(Limits(), now) {}
  SessionCache(const Limits& limits, Clock clock) : limits_(limits), clock_(std::move(clock)) {}

  // Lets the context's connections hand their sessions to the cache of their SessionUse.
  static void enable(SSL_CTX* context);

  // The newest session of the key that still lives, or null.
  bssl::UniquePtr<SSL_SESSION> take(const std::string& key);

  // Sessions without the server's certificates are not kept: nobody could judge the connections that resume them.
  // All sessions of a key show the same certificates: new ones push out those before.
  void put(const std::string& key, bssl::UniquePtr<SSL_SESSION> session);

  void forget(const std::string& key);

  // For tests.
  std::size_t keys() const;
  std::size_t octets() const;

 private:
  struct Entry {
    std::string key;
    std::vector<bssl::UniquePtr<SSL_SESSION>> sessions;  // the newest last, never empty; one, if it can be used again
    std::size_t octets = 0;
  };
  using Entries = std::list<Entry>;  // the most recently used first

  static std::chrono::sys_seconds now();
  bool is_worth_keeping(const SSL_SESSION& session) const;
  Entry& entry_of(const std::string& key);
  void recount(Entry& entry);
  void drop(Entries::iterator entry);

  const Limits limits_;
  const Clock clock_;

  mutable std::mutex mutex_;  // guards all below
  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> by_key_;  // views of Entry::key
  std::size_t octets_ = 0;
};

// One connection's part in the cache. Lives from before the handshake as long as the SSL, since servers may give
// sessions at any time.
class SessionUse {
 public:
  // Offers a session of the key to the server, if `offer` and there is one. The cache must outlive this.
  SessionUse(SessionCache& cache, std::string key, SSL* ssl, bool offer);
  // A handshake that came to no good end: all sessions of the key are suspect if one of them was offered.
  ~SessionUse();
  SessionUse(const SessionUse&) = delete;
  SessionUse& operator=(const SessionUse&) = delete;

  void handshake_succeeded() { suspect_ = false; }

 private:
  friend class SessionCache;

  SessionCache& cache_;
  const std::string key_;
  bool suspect_ = false;
};

}  // namespace postern::tls
