// The connections that this process makes: one that a firewall rule leads back to it is known by its two addresses.
// Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "proxy/net/address.h"

namespace postern::net {

class OwnConnections {
 public:
  // A connection's place in the list, for as long as this lives.
  class Entry {
   public:
    Entry() = default;
    Entry(Entry&& other) noexcept : list_(std::exchange(other.list_, nullptr)), key_(std::move(other.key_)) {}
    Entry& operator=(Entry&& other) noexcept {
      std::swap(list_, other.list_);
      std::swap(key_, other.key_);
      return *this;
    }
    ~Entry();

   private:
    friend class OwnConnections;
    using Key = std::pair<SocketAddress, SocketAddress>;  // where from, where to
    Entry(OwnConnections& list, const Key& key) : list_(&list), key_(key) {}
    OwnConnections* list_ = nullptr;
    Key key_;
  };

  // Notes the connection that `begin` begins with `remote`; `begin` returns where it comes from, or nothing if it has
  // failed. Until then everybody who asks must wait: a redirected connection is accepted before connect() returns. The
  // list outlives the entry.
  Entry note(const SocketAddress& remote, const std::function<std::optional<SocketAddress>()>& begin);

  // One of ours comes from `peer` and wants to go to `destination`.
  bool contains(const SocketAddress& peer, const SocketAddress& destination) const;

 private:
  mutable std::mutex mutex_;
  std::map<Entry::Key, unsigned> open_;  // how often: a port may be used again before its last entry has gone
};

}  // namespace postern::net
