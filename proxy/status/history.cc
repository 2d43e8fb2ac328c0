#include "proxy/status/history.h"

#include <algorithm>
#include <numeric>

namespace postern::status {

void History::take(const observe::Books& books) {
  for (const auto& [path, book] : books.listeners()) {
    auto& taken = listeners_[path];
    if (taken.size() == points) taken.erase(taken.begin());
    taken.push_back({book.sum("sessions_active"), book.sum("sessions_total"), book.sum("messages_total", {"accepted"}),
                     book.sum("bytes_total"), book.sum("rejections_total") + book.sum("tls_handshake_failures_total")});
  }
}

History::Trend History::of(std::string_view path) const {
  Trend trend;
  const auto found = listeners_.find(path);
  if (found == listeners_.end()) return trend;
  const auto& taken = found->second;
  for (const Point& point : taken) trend.sessions.push_back(static_cast<double>(point.sessions));
  const auto rate = [&](std::uint64_t Point::*number, std::vector<double>& into) {
    for (std::size_t i = 1; i < taken.size(); ++i) {
      const std::uint64_t before = taken[i - 1].*number;
      const std::uint64_t grown = std::max(taken[i].*number, before) - before;
      into.push_back(static_cast<double>(grown) / static_cast<double>(interval.count()));
    }
  };
  rate(&Point::begun, trend.begun);
  rate(&Point::messages, trend.messages);
  rate(&Point::octets, trend.octets);
  rate(&Point::denied, trend.denied);
  return trend;
}

double History::lately(const std::vector<double>& trend) {
  constexpr std::size_t minute = 60 / static_cast<std::size_t>(interval.count());
  const std::size_t count = std::min(trend.size(), minute);
  if (count == 0) return 0;
  return std::accumulate(trend.end() - static_cast<std::ptrdiff_t>(count), trend.end(), 0.0) /
         static_cast<double>(count);
}

}  // namespace postern::status
