// How often something may happen within a minute: as often as the limit says at once, and from then on evenly.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace postern::limits {

// Moments are microseconds of a clock that never goes back.
inline constexpr std::uint64_t minute = 60'000'000;

// One number: when everything that happened would be paid for, each at its share of a minute (the generic cell rate
// algorithm). Once that moment is over, nothing need be remembered.
class Rate {
 public:
  // True: it may happen now, and has.
  bool take(std::uint32_t limit, std::uint64_t now) {
    const std::uint64_t share = minute / limit;
    const std::uint64_t paid = std::max(paid_at_, now);
    if (paid - now + share > minute) return false;
    paid_at_ = paid + share;
    return true;
  }
  bool is_over(std::uint64_t now) const { return paid_at_ <= now; }

 private:
  std::uint64_t paid_at_ = 0;
};

}  // namespace postern::limits
