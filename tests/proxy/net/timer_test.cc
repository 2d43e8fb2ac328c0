#include "proxy/net/timer.h"

#include <memory>

#include "tests/support/catch.h"
#include "tests/support/turn_until.h"

namespace timer_test {

using namespace postern;
using namespace std::chrono_literals;
using test_support::turn_until;

TEST_CASE("timer: it fires once, and again only when it is started again") {
  net::Loop loop;
  int fired = 0;
  net::Timer timer(loop.raw(), [&] { ++fired; });
  net::Timer later(loop.raw(), [&] { fired += 10; });
  timer.start(1ms);
  later.start(20ms);
  REQUIRE(turn_until(loop, [&] { return fired >= 10; }));
  CHECK(fired == 11);
  timer.start(1ms);
  CHECK(turn_until(loop, [&] { return fired == 12; }));
}

TEST_CASE("timer: stopped, or gone, it is silent; and it may go while it fires") {
  net::Loop loop;
  bool over = false;
  net::Timer stopped(loop.raw(), [] { FAIL("stopped"); });
  auto gone = std::make_unique<net::Timer>(loop.raw(), [] { FAIL("gone"); });
  std::unique_ptr<net::Timer> last;
  last = std::make_unique<net::Timer>(loop.raw(), [&] {
    last.reset();
    over = true;
  });
  stopped.start(1ms);
  gone->start(1ms);
  last->start(10ms);
  stopped.stop();
  gone.reset();
  CHECK(turn_until(loop, [&] { return over; }));
}

}  // namespace timer_test
