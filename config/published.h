// A value that one thread replaces while others use it.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace postern::config {

// Whoever gets the value keeps it for as long as it likes, whatever is published meanwhile. Thread-safe. The lock is
// held while a pointer is copied: std::atomic<std::shared_ptr> would do, but that of g++ 12 unlocks with
// memory_order_relaxed after reading, which the Thread sanitizer rightly calls a race.
template <class T>
class Published {
 public:
  Published() = default;
  explicit Published(std::shared_ptr<const T> first) : value_(std::move(first)) {}

  std::shared_ptr<const T> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void set(std::shared_ptr<const T> value) {
    {
      const std::lock_guard lock(mutex_);
      value_.swap(value);
    }
    // What was there before goes here, if nobody has it, and not under the lock.
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace postern::config
