// The keys under which session tickets are sealed. One object serves all threads.
#pragma once

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

  // Shared by several instances: a binary file of one or several keys, 80 octets each, or 48 each where its size is no
  // multiple of 80 (`openssl rand 80 > FILE`). The first 16 octets of each are its name, the rest its secret. The first
  // key seals, all open: to rotate, put a new key in front and drop the last, on every instance, and replace the file
  // by a rename. A changed file is noticed within `reread_interval`; while it is unusable the last good keys stay.
  // Sessions pass only between listeners whose client-certificate settings are the same.
  static Result<std::shared_ptr<TicketKeys>> from_file(const std::string& path,
                                                       Clock clock = std::chrono::steady_clock::now);

  // The keys for now; never empty.
  Keys current();

  static constexpr std::chrono::seconds reread_interval{5};
  static constexpr std::size_t max_keys = 16;

 private:
  struct FileVersion {
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    auto operator<=>(const FileVersion&) const = default;
  };

  TicketKeys(std::string path, config::Duration period, Clock clock);
  static Keys random_key_before(std::shared_ptr<const TicketKey> previous);
  static std::optional<FileVersion> version_of(const std::string& path);
  static Result<Keys> read_keys(const std::string& path);
  void rotate(std::chrono::steady_clock::time_point now);
  void reread();

  const std::string path_;         // empty: keys at random
  const config::Duration period_;  // between rotations, or between looks at the file
  const Clock clock_;

  std::mutex mutex_;  // guards all below
  Keys keys_;
  std::chrono::steady_clock::time_point due_;
  std::optional<FileVersion> version_;
};

}  // namespace postern::tls
