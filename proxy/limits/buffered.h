// What waits in memory for peers that do not read, of all workers together.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace postern::limits {

class Buffered {
 public:
  std::uint64_t octets() const {
    const std::int64_t octets = octets_.load(std::memory_order_relaxed);
    return octets > 0 ? static_cast<std::uint64_t>(octets) : 0;
  }

 private:
  friend class BufferAccount;
  std::atomic<std::int64_t> octets_{0};
};

// A worker's own part. What it does not tell yet is less than `step`, so that workers seldom meet.
class BufferAccount {
 public:
  static constexpr std::int64_t step = 64 * 1024;

  void share(std::shared_ptr<Buffered> with) { shared_ = std::move(with); }
  void add(std::size_t octets) { move(static_cast<std::int64_t>(octets)); }
  void take(std::size_t octets) { move(-static_cast<std::int64_t>(octets)); }

 private:
  void move(std::int64_t by) {
    untold_ += by;
    if (!shared_ || (untold_ < step && untold_ > -step)) return;
    shared_->octets_.fetch_add(untold_, std::memory_order_relaxed);
    untold_ = 0;
  }

  std::shared_ptr<Buffered> shared_;  // null: nobody asks
  std::int64_t untold_ = 0;
};

}  // namespace postern::limits
