#include "proxy/net/original_destination.h"

#include "proxy/net/connector.h"
#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "tests/support/catch.h"
#include "tests/support/turn_until.h"

namespace original_destination_test {

using namespace postern;

TEST_CASE("original destination: only this machine's addresses are local") {
  CHECK(net::is_local_address(*config::parse_ip_address("127.0.0.1")));
  CHECK(net::is_local_address(*config::parse_ip_address("127.9.9.9")));
  CHECK_FALSE(net::is_local_address(*config::parse_ip_address("192.0.2.77")));
}

std::optional<Result<net::SocketAddress>> destination_of_a_connection_to(const std::string& address) {
  net::Loop loop;
  auto bound = net::bind_address(*config::parse_endpoint(address + ":0"), 1);
  if (!bound) return std::nullopt;
  const auto endpoint = *config::parse_endpoint(address + ":" + std::to_string(bound->address.port));
  std::optional<Result<net::SocketAddress>> found;
  const auto listener = net::Listener::start(
      loop.raw(), std::move(bound->sockets[0]),
      [&](const net::StreamPtr& connection) { found = net::redirected_destination(connection.get()); });
  REQUIRE(listener);
  const auto connector = net::Connector::start(loop.raw(), endpoint, {}, [](const Result<net::StreamPtr>&) {});
  REQUIRE(connector);
  REQUIRE(test_support::turn_until(loop, [&] { return found.has_value(); }));
  // Where connections are tracked, the kernel knows that it was going to us.
  if (*found) CHECK(**found == net::SocketAddress{endpoint.address, endpoint.port});
  return found;
}

TEST_CASE("original destination: a connection made to us directly has none but our own") {
  for (const std::string address : {"127.0.0.1", "[::1]"}) {
    const auto found = destination_of_a_connection_to(address);
    if (found && !*found) {
      CHECK(found->error().code == Errc::not_found);
      CHECK(found->error().message.starts_with("the connection was not redirected here: "));
    }
  }
}

TEST_CASE("original destination: what is no TCP connection has none") {
  net::Loop loop;
  CHECK(net::redirected_destination(net::make_pipe(loop.raw()).get()).error().code == Errc::not_found);
  CHECK(net::redirected_destination(net::make_tcp(loop.raw()).get()).error().code == Errc::not_found);
}

}  // namespace original_destination_test
