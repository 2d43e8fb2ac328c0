// How listeners fared lately: the numbers of their books every ten seconds, for half an hour.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/observe/book.h"

namespace postern::status {

class History {
 public:
  static constexpr std::chrono::seconds interval{10};
  static constexpr std::size_t points = 181;

  // Once for each interval, with the books of all workers.
  void take(const observe::Books& books);

  // The oldest first. What is counted: for each second, one number less than points were taken.
  struct Trend {
    std::vector<double> sessions;  // that were running
    std::vector<double> begun;     // sessions
    std::vector<double> messages;  // accepted
    std::vector<double> octets;    // both ways
    std::vector<double> denied;    // refusals of ours, and failed handshakes
  };
  // Of a listener nobody has heard of: empty.
  Trend of(std::string_view path) const;

  // For each second, over the last minute at most.
  static double lately(const std::vector<double>& trend);

 private:
  struct Point {
    std::uint64_t sessions = 0;
    std::uint64_t begun = 0;
    std::uint64_t messages = 0;
    std::uint64_t octets = 0;
    std::uint64_t denied = 0;
  };
  std::map<std::string, std::vector<Point>, std::less<>> listeners_;  // the oldest first
};

}  // namespace postern::status
