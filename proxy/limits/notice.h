// What may happen very often and is said once a minute.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "proxy/limits/rate.h"

namespace postern::limits {

// Thread-safe, without a lock.
class Notice {
 public:
  // It has happened. What is to be said now: how often since it was said last.
  std::optional<std::uint64_t> note(std::uint64_t now) {
    unsaid_.fetch_add(1, std::memory_order_relaxed);
    return due(now);
  }
  // Asked every so often: the last of many are said, too.
  std::optional<std::uint64_t> due(std::uint64_t now) {
    std::uint64_t next = next_.load(std::memory_order_relaxed);
    if (now < next || unsaid_.load(std::memory_order_relaxed) == 0) return std::nullopt;
    if (!next_.compare_exchange_strong(next, now + minute, std::memory_order_relaxed)) return std::nullopt;
    const std::uint64_t count = unsaid_.exchange(0, std::memory_order_relaxed);
    return count == 0 ? std::nullopt : std::optional(count);
  }

 private:
  std::atomic<std::uint64_t> next_{0};
  std::atomic<std::uint64_t> unsaid_{0};
};

}  // namespace postern::limits
