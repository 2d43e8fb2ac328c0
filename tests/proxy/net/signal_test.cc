#include "proxy/net/signal.h"

#include <csignal>

#include "proxy/net/loop.h"
#include "tests/support/catch.h"

namespace signal_test {

using namespace postern;

TEST_CASE("signal: one is an event of the loop, and others are not it") {
  net::Loop loop;
  int first = 0;
  int second = 0;
  const net::Signal one(loop.raw(), SIGUSR1, [&] { ++first; });
  const net::Signal other(loop.raw(), SIGUSR2, [&] {
    ++second;
    loop.stop();
  });
  ::raise(SIGUSR1);
  ::raise(SIGUSR2);
  loop.run();
  CHECK(first == 1);
  CHECK(second == 1);
}

TEST_CASE("signal: without anybody to hear it, a signal does again what it does by itself") {
  struct sigaction during = {};
  struct sigaction after = {};
  {
    net::Loop loop;
    const net::Signal heard(loop.raw(), SIGUSR1, [] {});
    REQUIRE(::sigaction(SIGUSR1, nullptr, &during) == 0);
  }
  REQUIRE(::sigaction(SIGUSR1, nullptr, &after) == 0);
  CHECK(during.sa_handler != SIG_DFL);
  CHECK(after.sa_handler == SIG_DFL);
}

}  // namespace signal_test
