#include "proxy/limits/client_table.h"

#include <random>

namespace postern::limits {

ClientKey::ClientKey(const config::IpAddress& address) : v6(address.family == config::IpAddress::Family::v6) {
  const std::size_t octets = v6 ? 8 : 4;
  for (std::size_t i = 0; i < octets; ++i) bits = bits << 8U | address.bytes[i];
}

// The finalizer of SplitMix64, over the seed.
std::size_t ClientTable::Hash::operator()(const ClientKey& key) const {
  std::uint64_t mixed = key.bits + (key.v6 ? 0x9e3779b97f4a7c15U : 0U);
  for (const std::uint64_t with : {seed, ~seed}) {
    mixed ^= with;
    mixed = (mixed ^ mixed >> 30U) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ mixed >> 27U) * 0x94d049bb133111ebU;
    mixed ^= mixed >> 31U;
  }
  return mixed;
}

ClientTable::ClientTable() : hash_{(std::uint64_t{std::random_device{}()} << 32U) | std::random_device{}()} {
  for (Shard& shard : shards_) shard.known = decltype(shard.known)(0, hash_);
}

ClientTable::Shard& ClientTable::shard_of(const ClientKey& key) {
  return shards_[(hash_(key) >> 40U) % shard_count];  // the map takes the lowest bits
}

Entry ClientTable::enter(const ClientKey& key, const ClientBounds& bounds, std::uint64_t now, Place& place) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  forget(shard, now);
  const auto found = shard.known.find(key);
  if (found == shard.known.end()) {
    place = shard.inside.insert(shard.inside.end(), Client{.key = key, .connections = {}, .handshakes = {}});
    shard.known.emplace(key, place);
  } else {
    place = found->second;
    if (bounds.sessions != 0 && place->sessions >= bounds.sessions) return Entry::too_many_sessions;
  }
  // A new client is always let in: a limit is one at least.
  if (bounds.connections != 0 && !place->connections.take(bounds.connections, now)) return Entry::too_many_connections;
  if (place->sessions++ == 0 && found != shard.known.end()) {
    shard.inside.splice(shard.inside.end(), shard.remembered, place);
  }
  return Entry::admitted;
}

bool ClientTable::begin_handshake(Place place, std::uint32_t limit, std::uint64_t now) {
  if (limit == 0) return true;
  Shard& shard = shard_of(place->key);
  const std::lock_guard lock(shard.mutex);
  return place->handshakes.take(limit, now);
}

void ClientTable::leave(Place place, std::uint64_t now) {
  Shard& shard = shard_of(place->key);
  const std::lock_guard lock(shard.mutex);
  if (--place->sessions != 0) return;
  if (place->is_over(now)) {
    shard.known.erase(place->key);
    shard.inside.erase(place);
  } else {
    shard.remembered.splice(shard.remembered.end(), shard.inside, place);
  }
  forget(shard, now);
}

// Two at a time where their minute is over, so that nobody waits for a whole table to be gone through.
void ClientTable::forget(Shard& shard, std::uint64_t now) {
  for (int i = 0; i < 2 && !shard.remembered.empty(); ++i) {
    const Client& oldest = shard.remembered.front();
    if (!oldest.is_over(now) && shard.remembered.size() <= remembered_limit / shard_count) return;
    shard.known.erase(oldest.key);
    shard.remembered.pop_front();
  }
}

std::size_t ClientTable::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    size += shard.known.size();
  }
  return size;
}

}  // namespace postern::limits
