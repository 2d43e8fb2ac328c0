// How long to wait before a process that has ended is started again: not at all, and 1, 2, 4 … 30 seconds for those
// that follow upon one another.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace postern::net {

class RestartPauses {
 public:
  // Loop time.
  void begun(std::uint64_t now) { began_ = now; }
  // It has ended: what to wait before the next one begins.
  std::chrono::milliseconds ended(std::uint64_t now) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t long_enough = 3'000;  // milliseconds: one that has served for so long is followed at once
    constexpr std::chrono::milliseconds longest = 30s;
    const std::chrono::milliseconds pause = now - began_ >= long_enough ? 0ms : next_;
    next_ = std::clamp<std::chrono::milliseconds>(pause * 2, 1s, longest);
    return pause;
  }

 private:
  std::uint64_t began_ = 0;
  std::chrono::milliseconds next_{0};
};

}  // namespace postern::net
