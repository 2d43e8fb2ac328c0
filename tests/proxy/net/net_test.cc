// Loop, listener, connector and child process against real sockets on loopback.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/net/connector.h"
#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "tests/support/catch.h"
#include "tests/support/descriptors.h"
#include "tests/support/machine.h"
#include "tests/support/skip.h"
#include "tests/support/turn_until.h"

namespace net_test {

using namespace postern;
using net::Connector;
using test_support::is_root;
using test_support::machine_has_ipv6;
using test_support::turn_until;

config::Endpoint loopback(std::uint16_t port) {
  config::Endpoint endpoint;
  endpoint.address = *config::parse_ip_address("127.0.0.1");
  endpoint.port = port;
  return endpoint;
}

config::IpAddress ip(std::string_view text) {
  return *config::parse_ip_address(text);
}

// A socket option of a connection, or of a bound socket.
int option_of(int fd, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(fd, level, option, &value, &size) == 0);
  return value;
}
int option_of(const net::StreamPtr& stream, int level, int option) {
  uv_os_fd_t fd = -1;
  REQUIRE(uv_fileno(reinterpret_cast<const uv_handle_t*>(stream.get()), &fd) == 0);
  return option_of(fd, level, option);
}

// A listener on a port of its own, and the last connection that came.
struct Target {
  net::Loop& loop;
  config::Endpoint endpoint;
  std::unique_ptr<net::Listener> listener;
  net::StreamPtr accepted;

  Target(net::Loop& in, std::string_view address) : loop(in) {
    endpoint.address = ip(address);
    auto bound = net::bind_address(endpoint, 1);
    REQUIRE(bound.has_value());
    endpoint.port = bound->address.port;
    auto started = net::Listener::start(loop.raw(), std::move(bound->sockets[0]),
                                        [this](net::StreamPtr connection) { accepted = std::move(connection); });
    REQUIRE(started.has_value());
    listener = std::move(*started);
  }

  // Connects; null where that fails.
  net::StreamPtr connect(const net::ConnectOptions& options) {
    std::optional<Result<net::StreamPtr>> result;
    const auto connector = Connector::start(loop.raw(), endpoint, options,
                                            [&](Result<net::StreamPtr> socket) { result.emplace(std::move(socket)); });
    REQUIRE(connector.has_value());
    REQUIRE(turn_until(loop, [&] { return result && (!*result || accepted); }));
    return *result ? std::move(**result) : nullptr;
  }
};

TEST_CASE("loop: what is posted runs in the loop, in order") {
  net::Loop loop;
  std::string order;
  loop.post([&] { order += "a"; });
  loop.post([&] { order += "b"; });
  CHECK(turn_until(loop, [&] { return order.size() == 2; }));
  CHECK(order == "ab");
}

TEST_CASE("listener: several sockets share the port that the kernel chose, and connections arrive") {
  net::Loop loop;
  auto bound = net::bind_address(loopback(0), 2);
  REQUIRE(bound.has_value());
  REQUIRE(bound->address.port != 0);
  REQUIRE(bound->sockets.size() == 2);

  std::vector<net::StreamPtr> accepted;
  std::vector<std::unique_ptr<net::Listener>> listeners;
  for (auto& socket : bound->sockets) {
    auto listener = net::Listener::start(loop.raw(), std::move(socket),
                                         [&](net::StreamPtr connection) { accepted.push_back(std::move(connection)); });
    REQUIRE(listener.has_value());
    listeners.push_back(std::move(*listener));
  }
  net::StreamPtr connected;
  auto connector = Connector::start(loop.raw(), loopback(bound->address.port), {},
                                    [&](Result<net::StreamPtr> socket) { connected = std::move(*socket); });
  REQUIRE(connector.has_value());
  CHECK(turn_until(loop, [&] { return connected && !accepted.empty(); }));
  CHECK(net::peer_address(accepted[0].get())->address == loopback(0).address);
  CHECK(net::local_address(accepted[0].get())->port == bound->address.port);
}

TEST_CASE("listener: without descriptors it pauses, and who waits is accepted once there are some") {
  net::Loop loop;
  auto bound = net::bind_address(loopback(0), 1);
  REQUIRE(bound.has_value());
  std::vector<net::StreamPtr> accepted;
  std::vector<net::AcceptError> errors;
  const auto listener = net::Listener::start(
      loop.raw(), std::move(bound->sockets[0]),
      [&](net::StreamPtr connection) { accepted.push_back(std::move(connection)); },
      [&](net::AcceptError error) { errors.push_back(error); });
  REQUIRE(listener.has_value());
  std::vector<net::StreamPtr> connected;
  std::vector<std::unique_ptr<Connector>> connectors;
  for (int i = 0; i < 3; ++i) {
    auto connector = Connector::start(loop.raw(), loopback(bound->address.port), {},
                                      [&](Result<net::StreamPtr> socket) { connected.push_back(std::move(*socket)); });
    REQUIRE(connector.has_value());
    connectors.push_back(std::move(*connector));
  }
  int turns = 0;
  {
    const descriptors::NoneLeft exhausted;
    const auto end = uv_hrtime() + 350'000'000;
    for (; uv_hrtime() < end && turns < 10'000; ++turns) uv_run(loop.raw(), UV_RUN_ONCE);
  }
  CHECK(accepted.empty());
  CHECK(turns < 100);  // it does not spin
  REQUIRE(errors.size() >= 2);
  CHECK(errors.size() < 10);
  CHECK(errors[0] == net::AcceptError::descriptors);
  CHECK(turn_until(loop, [&] { return accepted.size() == 3; }));
  CHECK(connected.size() == 3);
}

TEST_CASE("listener: where nothing can be accepted any more it does not spin") {
  net::Loop loop;
  auto bound = net::bind_address(loopback(0), 1);
  REQUIRE(bound.has_value());
  const int socket = bound->sockets[0].get();
  int errors = 0;
  const auto listener = net::Listener::start(
      loop.raw(), std::move(bound->sockets[0]), [](net::StreamPtr) {},
      [&](net::AcceptError error) { errors += error == net::AcceptError::other ? 1 : 100; });
  REQUIRE(listener.has_value());
  REQUIRE(::shutdown(socket, SHUT_RDWR) == 0);
  int turns = 0;
  for (const auto end = uv_hrtime() + 350'000'000; uv_hrtime() < end && turns < 10'000; ++turns) {
    uv_run(loop.raw(), UV_RUN_ONCE);
  }
  CHECK(turns < 100);
  CHECK(errors >= 2);
  CHECK(errors < 10);
}

TEST_CASE("listener: a port that another process listens on is refused, though sockets could share it") {
  auto first = net::bind_address(loopback(0), 1);
  REQUIRE(first.has_value());
  net::Loop loop;
  auto listening = net::Listener::start(loop.raw(), std::move(first->sockets[0]), [](net::StreamPtr) {});
  REQUIRE(listening.has_value());
  const auto second = net::bind_address(loopback(first->address.port), 1);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().message.find("in use") != std::string::npos);
}

TEST_CASE("connector: a refused connection is reported, and a connector that goes away is silent") {
  net::Loop loop;
  auto bound = net::bind_address(loopback(0), 1);
  REQUIRE(bound.has_value());  // bound but not listening: refuses
  std::string error;
  auto connector = Connector::start(loop.raw(), loopback(bound->address.port), {},
                                    [&](Result<net::StreamPtr> socket) { error = socket.error().message; });
  REQUIRE(connector.has_value());
  CHECK(turn_until(loop, [&] { return !error.empty(); }));
  CHECK(error == "connection refused");

  bool called = false;
  auto dropped =
      Connector::start(loop.raw(), loopback(bound->address.port), {}, [&](Result<net::StreamPtr>) { called = true; });
  dropped->reset();
  loop.post([] {});
  for (int i = 0; i < 10; ++i) uv_run(loop.raw(), UV_RUN_NOWAIT);
  CHECK_FALSE(called);
}

TEST_CASE("listener: one for TPROXY may have an address that is not ours, and says so to the kernel") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  config::Endpoint foreign;
  foreign.address = ip("192.0.2.25");
  REQUIRE_FALSE(net::bind_address(foreign, 1).has_value());
  {
    const auto bound = net::bind_address(foreign, 2, {.transparent = true});
    REQUIRE(bound.has_value());
    for (const auto& socket : bound->sockets) CHECK(option_of(socket.get(), SOL_IP, IP_TRANSPARENT) == 1);
    foreign.port = bound->address.port;
  }
  CHECK(net::bind_address(foreign, 1, {.transparent = true}).has_value());  // with a port, too
  const auto ordinary = net::bind_address(loopback(0), 1);
  CHECK(option_of(ordinary->sockets[0].get(), SOL_IP, IP_TRANSPARENT) == 0);
}

TEST_CASE("listener: one for TPROXY says so in IPv6, too") {
  POSTERN_SKIP_UNLESS(is_root() && machine_has_ipv6(), "needs root and IPv6");
  config::Endpoint any;
  any.address = ip("::");
  const auto v6 = net::bind_address(any, 1, {.transparent = true});
  REQUIRE(v6.has_value());
  CHECK(option_of(v6->sockets[0].get(), SOL_IPV6, IPV6_TRANSPARENT) == 1);
}

void connect_from(const char* source, const char* server) {
  net::Loop loop;
  Target target(loop, server);
  net::ConnectOptions options;
  options.source = net::SocketAddress{ip(source), 0};
  REQUIRE(target.connect(options));
  CHECK(net::peer_address(target.accepted.get())->address == ip(source));
}

TEST_CASE("connector: a source of our own is what the server sees") {
  connect_from("127.0.0.77", "127.0.0.1");
}

TEST_CASE("connector: a source of our own is what the server sees, in IPv6") {
  POSTERN_SKIP_UNLESS(machine_has_ipv6(), "needs IPv6");
  connect_from("::1", "::1");
}

TEST_CASE("connector: a source of the other family is left out, unless it is a client's") {
  net::Loop loop;
  Target target(loop, "127.0.0.1");
  net::ConnectOptions options;
  options.source = net::SocketAddress{ip("2001:db8::25"), 0};
  REQUIRE(target.connect(options));
  CHECK(net::peer_address(target.accepted.get())->address == ip("127.0.0.1"));

  options.transparent = true;
  const auto refused = Connector::start(loop.raw(), target.endpoint, options, [](const Result<net::StreamPtr>&) {});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message == "the client's address and the server's are of different families");
}

TEST_CASE("connector: an address that is not ours is a source only when it may be") {
  net::Loop loop;
  const Target target(loop, "127.0.0.1");
  net::ConnectOptions options;
  options.source = net::SocketAddress{ip("192.0.2.25"), 0};
  const auto refused = Connector::start(loop.raw(), target.endpoint, options, [](const Result<net::StreamPtr>&) {});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message.starts_with("cannot use the source address 192.0.2.25:0: "));
}

TEST_CASE("connector: root may take the address of a client for its source") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  net::Loop loop;
  const Target target(loop, "127.0.0.1");
  net::ConnectOptions options;
  options.source = net::SocketAddress{ip("192.0.2.25"), 0};
  options.transparent = true;
  CHECK(Connector::start(loop.raw(), target.endpoint, options, [](const Result<net::StreamPtr>&) {}).has_value());
}

TEST_CASE("connector: a mark goes with the connection, for firewall and routing rules") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  net::Loop loop;
  Target target(loop, "127.0.0.1");
  net::ConnectOptions options;
  options.mark = 0xbeef;
  const auto marked = target.connect(options);
  REQUIRE(marked);
  CHECK(option_of(marked, SOL_SOCKET, SO_MARK) == 0xbeef);
  CHECK(option_of(marked, SOL_TCP, TCP_NODELAY) == 1);
  target.accepted.reset();
  const auto plain = target.connect({});
  REQUIRE(plain);
  CHECK(option_of(plain, SOL_SOCKET, SO_MARK) == 0);
}

TEST_CASE("connector: a host name is resolved, and a lookup that is dropped in flight is silent") {
  net::Loop loop;
  auto bound = net::bind_address(loopback(0), 1);
  auto listening = net::Listener::start(loop.raw(), std::move(bound->sockets[0]), [](net::StreamPtr) {});
  config::Endpoint endpoint;
  endpoint.kind = config::Endpoint::Kind::name;
  endpoint.name = "localhost";
  endpoint.port = bound->address.port;
  net::SystemNames names(loop.raw());
  net::ConnectOptions options;
  options.names = &names;
  net::StreamPtr connected;
  auto connector = Connector::start(loop.raw(), endpoint, options, [&](Result<net::StreamPtr> socket) {
    if (socket) connected = std::move(*socket);
  });
  REQUIRE(connector.has_value());
  CHECK(turn_until(loop, [&] { return connected != nullptr; }));

  auto dropped = Connector::start(loop.raw(), endpoint, options, [](Result<net::StreamPtr>) { FAIL("called"); });
  dropped->reset();
  CHECK_FALSE(Connector::start(loop.raw(), endpoint, {}, [](Result<net::StreamPtr>) { FAIL("called"); }));
}

TEST_CASE("connector: a unix socket that is not there is reported later, not inside the call") {
  net::Loop loop;
  config::Endpoint endpoint;
  endpoint.kind = config::Endpoint::Kind::unix_socket;
  endpoint.name = "/nonexistent/socket";
  bool inside = true;
  std::string error;
  auto connector = Connector::start(loop.raw(), endpoint, {}, [&](Result<net::StreamPtr> socket) {
    CHECK_FALSE(inside);
    error = socket.error().message;
  });
  inside = false;
  CHECK(turn_until(loop, [&] { return !error.empty(); }));
}

}  // namespace net_test
