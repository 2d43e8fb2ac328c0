#include "proxy/limits/tally.h"

#include <utility>

#include "config/assert.h"

namespace postern::limits {

std::string_view to_string(Limit limit) {
  switch (limit) {
    case Limit::sessions: return "sessions";
    case Limit::client_sessions: return "sessions_per_client";
    case Limit::client_connections: return "connections_per_client_per_minute";
    case Limit::client_handshakes: return "handshakes_per_client_per_minute";
    case Limit::buffers: return "buffer_limit";
  }
  return "other";
}

std::uint64_t value_of(Limit limit, const config::Limits& limits, config::ByteSize buffer_limit) {
  switch (limit) {
    case Limit::sessions: return limits.sessions;
    case Limit::client_sessions: return limits.sessions_per_client;
    case Limit::client_connections: return limits.connections_per_client_per_minute;
    case Limit::client_handshakes: return limits.handshakes_per_client_per_minute;
    case Limit::buffers: return buffer_limit.bytes;
  }
  return 0;
}

ClientBounds client_bounds(const config::Limits& limits) {
  return {limits.sessions_per_client, limits.connections_per_client_per_minute,
          limits.handshakes_per_client_per_minute};
}

Seat::~Seat() {
  POSTERN_ASSERT(tally_ == nullptr, "a session went and kept its place");
}

bool Seat::take(Tally& tally, std::uint32_t limit) {
  const std::uint32_t before = tally.sessions_.fetch_add(1, std::memory_order_relaxed);
  if (before >= limit && limit != 0) {
    tally.sessions_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  std::uint32_t highest = tally.highest_.load(std::memory_order_relaxed);
  while (before >= highest && !tally.highest_.compare_exchange_weak(highest, before + 1, std::memory_order_relaxed)) {
  }
  tally_ = &tally;
  return true;
}

std::optional<Limit> Seat::take_for_client(const config::IpAddress& client, const ClientBounds& bounds,
                                           std::uint64_t now) {
  POSTERN_ASSERT(tally_ != nullptr && !has_client_, "a client comes first after a session, and once");
  if (!bounds.any()) return std::nullopt;
  switch (tally_->clients_.enter(ClientKey(client), bounds, now, client_)) {
    case Entry::too_many_sessions: return Limit::client_sessions;
    case Entry::too_many_connections: return Limit::client_connections;
    case Entry::admitted: break;
  }
  has_client_ = true;
  return std::nullopt;
}

bool Seat::may_begin_handshake(const ClientBounds& bounds, std::uint64_t now) {
  return !has_client_ || tally_->clients_.begin_handshake(client_, bounds.handshakes, now);
}

void Seat::give_back(std::uint64_t now) {
  if (tally_ == nullptr) return;
  if (std::exchange(has_client_, false)) tally_->clients_.leave(client_, now);
  std::exchange(tally_, nullptr)->sessions_.fetch_sub(1, std::memory_order_relaxed);
}

Tally& Tallies::of(std::string_view direction, std::string_view listener) {
  std::string path(direction);
  path.append(".").append(listener);
  const std::lock_guard lock(mutex_);
  return listeners_[std::move(path)];
}

}  // namespace postern::limits
