// What each client of a listener has at present and had lately: sessions, connections, handshakes. All workers share
// it; it is touched when a session begins, when it ends, and for a handshake, never while one runs. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <unordered_map>

#include "config/values.h"
#include "proxy/limits/rate.h"

namespace postern::limits {

// Who counts as one: an IPv4 address, or the 64 bits of an IPv6 address that a site has for itself.
struct ClientKey {
  explicit ClientKey(const config::IpAddress& address);
  bool operator==(const ClientKey&) const = default;

  std::uint64_t bits = 0;
  bool v6 = false;
};

// 0: no limit.
struct ClientBounds {
  std::uint32_t sessions = 0;
  std::uint32_t connections = 0;  // within a minute
  std::uint32_t handshakes = 0;   // likewise

  bool any() const { return sessions != 0 || connections != 0 || handshakes != 0; }
};

enum class Entry : std::uint8_t { admitted, too_many_sessions, too_many_connections };

// Bounded, whatever addresses come: a client is kept while it has sessions, of which there are as many as the listener
// may have; without any it is remembered only while its minute lasts, and of those there are `remembered_limit` at most
// (about 200 octets each). Beyond that who was quiet for longest is forgotten, and begins anew if it comes back.
class ClientTable {
 public:
  static constexpr std::size_t shard_count = 64;
  static constexpr std::size_t remembered_limit = 65'536;

  ClientTable();
  ClientTable(const ClientTable&) = delete;
  ClientTable& operator=(const ClientTable&) = delete;

 private:
  struct Client {
    ClientKey key;
    std::uint32_t sessions = 0;
    Rate connections;
    Rate handshakes;
    bool is_over(std::uint64_t now) const { return connections.is_over(now) && handshakes.is_over(now); }
  };
  using Clients = std::list<Client>;

 public:
  // Of a client that was admitted, until it leaves.
  using Place = Clients::iterator;

  // A session begins. `place` is set where it is admitted.
  Entry enter(const ClientKey& key, const ClientBounds& bounds, std::uint64_t now, Place& place);
  // One of those that are inside begins a handshake. False: it must not.
  bool begin_handshake(Place place, std::uint32_t limit, std::uint64_t now);
  void leave(Place place, std::uint64_t now);

  // Clients that are known.
  std::size_t size() const;

 private:
  // An attacker chooses addresses: the seed keeps it from choosing where they come to lie.
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const ClientKey& key) const;
  };
  struct Shard {
    mutable std::mutex mutex;
    Clients inside;      // have sessions
    Clients remembered;  // have none; who left first is in front
    std::unordered_map<ClientKey, Place, Hash> known{0, Hash{0}};
  };
  Shard& shard_of(const ClientKey& key);
  static void forget(Shard& shard, std::uint64_t now);

  Hash hash_;
  std::array<Shard, shard_count> shards_;
};

}  // namespace postern::limits
