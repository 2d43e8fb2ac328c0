// The keys under which session tickets are sealed. One object serves all threads.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/published.h"
#include "config/result.h"
#include "config/values.h"

namespace postern::tls {

// One ticket key: an AEAD, and a name that travels in the ticket. A ticket is what was sealed, its tag, nonce and name.
class TicketKey {
 public:
  static constexpr std::size_t name_size = 16;
  static constexpr std::size_t nonce_size = 24;
  static constexpr std::size_t tag_size = 16;
  static constexpr std::size_t overhead = tag_size + nonce_size + name_size;

  // `secret` is any number of random octets.
  TicketKey(std::string_view name, std::string_view secret);
  ~TicketKey();
  TicketKey(const TicketKey&) = delete;
  TicketKey& operator=(const TicketKey&) = delete;

  bool has_name_of(std::span<const std::uint8_t> ticket) const;
  // Both return how many octets they wrote to `out`, nothing where they fail. `out` needs room for in.size() +
  // overhead, or for in.size(); it may be the same buffer as `in`, or must not overlap it.
  std::optional<std::size_t> seal(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) const;
  std::optional<std::size_t> open(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) const;

 private:
  struct Aead;
  const std::string name_;
  const std::unique_ptr<Aead> aead_;
};

class TicketKeys {
 public:
  using Keys = std::shared_ptr<const std::vector<std::shared_ptr<const TicketKey>>>;  // the first seals, all open
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  // Made at random, and anew every `rotate`; the one before the current still opens. They never leave the process.
  static std::shared_ptr<TicketKeys> random(config::Duration rotate, Clock clock = std::chrono::steady_clock::now);

  // Shared by several instances: `octets` are those of a binary file at `path`, one or several keys, 80 octets each, or
  // 48 each where its size is no multiple of 80 (`openssl rand 80 > FILE`). The first 16 octets of each are its name,
  // the rest its secret. The first key seals, all open: to rotate, put a new key in front and drop the last, on every
  // instance, and replace the file by a rename. Sessions pass only between listeners whose client-certificate settings
  // are the same.
  static Result<std::shared_ptr<TicketKeys>> shared(const std::string& path, std::string_view octets);

  // What the file of shared keys holds now. True: others than before. While it is unusable the last good keys stay.
  // Thread-safe against current(), not against itself.
  Result<bool> renew(const std::string& path, std::string_view octets);

  // The keys for now; never empty. Thread-safe.
  Keys current();

  static constexpr std::size_t max_keys = 16;

 private:
  using Time = std::chrono::steady_clock::time_point;

  TicketKeys(config::Duration period, Clock clock);
  static Keys random_key_before(std::shared_ptr<const TicketKey> previous);
  static Result<Keys> parse_keys(const std::string& path, std::string_view octets);
  void rotate(Time now);

  const config::Duration period_;  // between rotations; zero: the keys are shared
  const Clock clock_;

  config::Published<Keys::element_type> keys_;
  std::atomic<Time> due_;  // of the next rotation
  std::mutex rotation_;    // held by who rotates
  std::string digest_;     // of the octets of shared keys
};

}  // namespace postern::tls
