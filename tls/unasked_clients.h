// Clients whose certificate the library refuses whatever the context says of it (a keyUsage without digitalSignature),
// so that the handshake fails. Where certificates are only requested, such a client is not asked for one in its next
// connections, and is served without.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>

#include "config/values.h"

namespace postern::tls {

// Thread-safe. The oldest are forgotten first.
class UnaskedClients {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  static constexpr std::size_t most = 1000;
  // Not for long: others behind the same address may have certificates that count.
  static constexpr std::chrono::minutes memory{10};

  explicit UnaskedClients(Clock clock = std::chrono::steady_clock::now) : clock_(std::move(clock)) {}

  void add(const config::IpAddress& client);
  bool contains(const config::IpAddress& client) const;

 private:
  const Clock clock_;
  mutable std::mutex mutex_;  // guards below
  std::map<config::IpAddress, std::chrono::steady_clock::time_point> until_;
};

}  // namespace postern::tls
