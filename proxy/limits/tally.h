// What is limited, counted in one place for all workers and whatever snapshot is running: by the listener's name.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "proxy/limits/buffered.h"
#include "proxy/limits/client_table.h"
#include "proxy/limits/notice.h"

namespace postern::limits {

enum class Limit : std::uint8_t {
  sessions,
  client_sessions,
  client_connections,
  client_handshakes,
  buffers,
};
inline constexpr std::size_t limit_count = static_cast<std::size_t>(Limit::buffers) + 1;
std::string_view to_string(Limit limit);  // as the configuration has it
// What the configuration says of it.
std::uint64_t value_of(Limit limit, const config::Limits& limits, config::ByteSize buffer_limit);

ClientBounds client_bounds(const config::Limits& limits);

// A listener's. Thread-safe.
class Tally {
 public:
  std::uint32_t sessions() const { return sessions_.load(std::memory_order_relaxed); }
  std::uint32_t highest() const { return highest_.load(std::memory_order_relaxed); }  // there were at a time
  Notice& notice(Limit limit) { return notices_[static_cast<std::size_t>(limit)]; }

 private:
  friend class Seat;
  std::atomic<std::uint32_t> sessions_{0};
  std::atomic<std::uint32_t> highest_{0};
  ClientTable clients_;
  std::array<Notice, limit_count> notices_;
};

// What one session takes of it. Whoever has one gives it back before the tally goes.
class Seat {
 public:
  Seat() = default;
  ~Seat();
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  // `limit` 0: none. False: there are as many already.
  bool take(Tally& tally, std::uint32_t limit);
  // Once the client is known, and where nothing exempts it. The limit that it has reached, if any.
  std::optional<Limit> take_for_client(const config::IpAddress& client, const ClientBounds& bounds, std::uint64_t now);
  bool may_begin_handshake(const ClientBounds& bounds, std::uint64_t now);
  void give_back(std::uint64_t now);

 private:
  Tally* tally_ = nullptr;
  ClientTable::Place client_;
  bool has_client_ = false;
};

// Of the whole process. It outlives snapshots. Thread-safe.
class Tallies {
 public:
  // The listener's; it stays where it is.
  Tally& of(std::string_view direction, std::string_view listener);

  const std::shared_ptr<Buffered>& buffered() const { return buffered_; }
  Notice& accepting_pauses() { return accepting_pauses_; }

 private:
  std::mutex mutex_;
  std::map<std::string, Tally, std::less<>> listeners_;
  std::shared_ptr<Buffered> buffered_ = std::make_shared<Buffered>();
  Notice accepting_pauses_;
};

}  // namespace postern::limits
