#include "proxy/net/original_destination.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "proxy/net/connector.h"
#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "tests/support/catch.h"
#include "tests/support/machine.h"
#include "tests/support/skip.h"
#include "tests/support/turn_until.h"

namespace original_destination_test {

using namespace postern;

TEST_CASE("original destination: only this machine's addresses are local") {
  CHECK(net::is_local_address(*config::parse_ip_address("127.0.0.1")));
  CHECK(net::is_local_address(*config::parse_ip_address("127.9.9.9")));
  CHECK_FALSE(net::is_local_address(*config::parse_ip_address("192.0.2.77")));
}

void connect_directly(const std::string& address) {
  net::Loop loop;
  auto bound = net::bind_address(*config::parse_endpoint(address + ":0"), 1);
  REQUIRE(bound);
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
  if (*found) {
    CHECK(**found == net::SocketAddress{endpoint.address, endpoint.port});
  } else {
    CHECK(found->error().code == Errc::not_found);
    CHECK(found->error().message.starts_with("the connection was not redirected here: "));
  }
}

TEST_CASE("original destination: a connection made to us directly has none but our own") {
  connect_directly("127.0.0.1");
}

TEST_CASE("original destination: nor has one over IPv6") {
  POSTERN_SKIP_UNLESS(test_support::machine_has_ipv6(), "needs IPv6");
  connect_directly("[::1]");
}

TEST_CASE("original destination: what is no TCP connection has none") {
  net::Loop loop;
  CHECK(net::redirected_destination(net::make_pipe(loop.raw()).get()).error().code == Errc::not_found);
  CHECK(net::redirected_destination(net::make_tcp(loop.raw()).get()).error().code == Errc::not_found);
}

// The following run in a process, and a network, of their own.
constexpr std::uint16_t gateway_port = 2525;

// Connections that this process makes to port 25 are redirected to the gateway's. False: that needs root, nft, and a
// kernel that can.
bool make_redirecting_network() {
  if (!test_support::machine_has_ipv6() || ::unshare(CLONE_NEWNET) != 0) return false;
  const UniqueFd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  return ::ioctl(any.get(), SIOCSIFFLAGS, &loopback) == 0 &&
         std::system(
             "nft 'table inet t { chain c { type nat hook output priority -100; "
             "tcp dport 25 redirect to :2525; }; }' 2>/dev/null") == 0;
}

UniqueFd listen_for_ipv4() {
  auto bound = net::bind_address(*config::parse_endpoint("127.0.0.1:2525"), 1);
  return std::move(bound->sockets[0]);
}

// An IPv4 client has the address ::ffff:127.0.0.1 here.
UniqueFd listen_for_both() {
  UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  const int off = 0;
  sockaddr_storage storage;
  const socklen_t length = net::to_sockaddr(*config::parse_ip_address("::"), gateway_port, storage);
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  (void)::setsockopt(socket.get(), SOL_IPV6, IPV6_V6ONLY, &off, sizeof off);
  (void)::bind(socket.get(), reinterpret_cast<const sockaddr*>(&storage), length);
  return socket;
}

std::string destination_seen(const std::string& target, UniqueFd socket) {
  net::Loop loop;
  std::string seen;
  const auto listener = net::Listener::start(loop.raw(), std::move(socket), [&](const net::StreamPtr& connection) {
    const auto destination = net::redirected_destination(connection.get());
    seen = destination ? net::to_string(*destination) : destination.error().message;
  });
  const auto connector =
      net::Connector::start(loop.raw(), *config::parse_endpoint(target), {}, [](const Result<net::StreamPtr>&) {});
  test_support::turn_until(loop, [&] { return !seen.empty(); });
  return seen;
}

enum Outcome : int { as_meant, no_such_network, ipv4, ipv4_on_ipv6, ipv6 };

Outcome look_at_redirected_connections() {
  if (!make_redirecting_network()) return no_such_network;
  if (destination_seen("127.0.0.9:25", listen_for_ipv4()) != "127.0.0.9:25") return ipv4;
  if (destination_seen("127.0.0.9:25", listen_for_both()) != "127.0.0.9:25") return ipv4_on_ipv6;
  return destination_seen("[::1]:25", listen_for_both()) == "[::1]:25" ? as_meant : ipv6;
}

TEST_CASE("original destination: a redirected connection tells where it was going") {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(look_at_redirected_connections());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  POSTERN_SKIP_UNLESS(WEXITSTATUS(status) != no_such_network, "needs root, nft, IPv6 and a kernel with all of it");
  CHECK(WEXITSTATUS(status) == as_meant);
}

}  // namespace original_destination_test
