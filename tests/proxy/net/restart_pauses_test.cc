#include "proxy/net/restart_pauses.h"

#include <vector>

#include "tests/support/catch.h"

namespace restart_pauses_test {

using postern::net::RestartPauses;

TEST_CASE("restart pauses: at once, then ever later, and at once again after one that has served for a while") {
  RestartPauses pauses;
  std::uint64_t now = 1'000'000;
  // In seconds, of one that lives for so many milliseconds.
  const auto pause_after = [&](std::uint64_t life) {
    pauses.begun(now);
    now += life;
    return std::chrono::duration<double>(pauses.ended(now)).count();
  };
  const auto quickly = [&] {
    std::vector<double> seconds;
    for (int i = 0; i < 8; ++i) seconds.push_back(pause_after(2'999));
    return seconds;
  };
  CHECK(quickly() == std::vector<double>{0, 1, 2, 4, 8, 16, 30, 30});
  CHECK(pause_after(3'000) == 0);
  CHECK(pause_after(0) == 1);
  CHECK(pause_after(100'000) == 0);
  CHECK(pause_after(100'000) == 0);
}

}  // namespace restart_pauses_test
