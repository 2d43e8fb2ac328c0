#include "proxy/net/original_destination.h"

#include "proxy/net/connector.h"
#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "tests/support/catch.h"

namespace original_destination_test {

using namespace postern;

TEST_CASE("original destination: only this machine's addresses are local") {
  CHECK(net::is_local_address(*config::parse_ip_address("127.0.0.1")));
  CHECK(net::is_local_address(*config::parse_ip_address("127.9.9.9")));
  CHECK_FALSE(net::is_local_address(*config::parse_ip_address("192.0.2.77")));
}

TEST_CASE("original destination: a connection made to us directly has none but our own") {
  net::Loop loop;
  auto bound = net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1);
  REQUIRE(bound);
  const auto port = bound->address.port;
  std::optional<net::SocketAddress> found;
  auto listener = net::Listener::start(loop.raw(), std::move(bound->sockets[0]), [&](net::StreamPtr connection) {
    const auto destination = net::redirected_destination(connection.get());
    if (destination) found = *destination;
    loop.stop();
  });
  REQUIRE(listener);
  auto connector = net::Connector::start(loop.raw(), *config::parse_endpoint("127.0.0.1:" + std::to_string(port)), {},
                                         [](Result<net::StreamPtr>) {});
  REQUIRE(connector);
  loop.run();
  // With connection tracking the kernel names our own address, without it none.
  if (found) CHECK(*found == net::SocketAddress{*config::parse_ip_address("127.0.0.1"), port});
}

}  // namespace original_destination_test
