#include "proxy/net/own_connections.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/catch.h"

namespace own_connections_test {

using namespace postern;

net::SocketAddress at(const std::string& text) {
  const auto endpoint = *config::parse_endpoint(text);
  return {endpoint.address, endpoint.port};
}

const net::SocketAddress here = at("192.0.2.1:40000");
const net::SocketAddress remote = at("[2001:db8::1]:25");

net::OwnConnections::Entry note(net::OwnConnections& list) {
  return list.note(remote, [] { return std::optional(here); });
}

TEST_CASE("own connections: one is known by both of its addresses, for as long as it lasts") {
  net::OwnConnections list;
  {
    const auto entry = note(list);
    CHECK(list.contains(here, remote));
    CHECK_FALSE(list.contains(here, at("[2001:db8::2]:25")));
    CHECK_FALSE(list.contains(at("192.0.2.1:40001"), remote));
    CHECK_FALSE(list.contains(remote, here));
  }
  CHECK_FALSE(list.contains(here, remote));
}

TEST_CASE("own connections: an entry moves, and the one in its place ends") {
  net::OwnConnections list;
  net::OwnConnections::Entry kept;
  kept = note(list);
  CHECK(list.contains(here, remote));
  {
    const net::OwnConnections::Entry moved = std::move(kept);
    CHECK(list.contains(here, remote));
  }
  CHECK_FALSE(list.contains(here, remote));
  kept = note(list);
  kept = {};
  CHECK_FALSE(list.contains(here, remote));
}

TEST_CASE("own connections: the same addresses may be noted again before the first entry has gone") {
  net::OwnConnections list;
  auto first = note(list);
  const auto second = note(list);
  first = {};
  CHECK(list.contains(here, remote));
}

TEST_CASE("own connections: what could not be begun is not noted") {
  net::OwnConnections list;
  const auto entry = list.note(remote, [] { return std::nullopt; });
  CHECK_FALSE(list.contains(here, remote));
}

TEST_CASE("own connections: who asks while one begins gets its answer afterwards") {
  net::OwnConnections list;
  std::thread thread;
  std::atomic<bool> asks = false;
  bool found = false;
  const auto entry = list.note(remote, [&] {
    thread = std::thread([&] {
      asks = true;
      found = list.contains(here, remote);
    });
    while (!asks) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // time enough to answer too early
    return std::optional(here);
  });
  thread.join();
  CHECK(found);
}

}  // namespace own_connections_test
