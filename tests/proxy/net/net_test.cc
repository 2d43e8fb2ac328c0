// Loop, listener, connector and child process against real sockets on loopback.
#include <sys/stat.h>

#include <functional>

#include "proxy/net/child_process.h"
#include "proxy/net/connector.h"
#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "proxy/process/descriptors.h"
#include "tests/support/catch.h"

namespace net_test {

using namespace postern;
using net::Connector;

// Turns the loop until `done` or 5 seconds have passed; false then.
bool turn_until(net::Loop& loop, const std::function<bool()>& done) {
  const auto end = uv_hrtime() + 5'000'000'000U;
  while (!done() && uv_hrtime() < end) uv_run(loop.raw(), UV_RUN_NOWAIT);
  return done();
}

config::Endpoint loopback(std::uint16_t port) {
  config::Endpoint endpoint;
  endpoint.address = *config::parse_ip_address("127.0.0.1");
  endpoint.port = port;
  return endpoint;
}

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

TEST_CASE("connector: a host name is resolved, and a lookup that is dropped in flight is silent") {
  net::Loop loop;
  auto bound = net::bind_address(loopback(0), 1);
  auto listening = net::Listener::start(loop.raw(), std::move(bound->sockets[0]), [](net::StreamPtr) {});
  config::Endpoint endpoint;
  endpoint.kind = config::Endpoint::Kind::name;
  endpoint.name = "localhost";
  endpoint.port = bound->address.port;
  net::StreamPtr connected;
  auto connector = Connector::start(loop.raw(), endpoint, {}, [&](Result<net::StreamPtr> socket) {
    if (socket) connected = std::move(*socket);
  });
  REQUIRE(connector.has_value());
  CHECK(turn_until(loop, [&] { return connected != nullptr; }));

  auto dropped = Connector::start(loop.raw(), endpoint, {}, [](Result<net::StreamPtr>) { FAIL("called"); });
  dropped->reset();
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

TEST_CASE("child_process: the program talks over its standard descriptors and inherits no others") {
  process::close_on_exec_from(3);  // what the test itself was started with
  net::Loop loop;
  auto started =
      net::ChildProcess::start(loop.raw(), {"/bin/sh", "-c", "echo $GREETING; ls /proc/self/fd | tr '\\n' ' '"},
                               {"GREETING=hello", "PATH=/bin"});
  REQUIRE(started.has_value());
  struct Output {
    std::string text;
    bool ended = false;
  } output;
  started->socket->data = &output;
  uv_read_start(
      started->socket.get(),
      [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
        static char space[4096];
        *buffer = uv_buf_init(space, sizeof space);
      },
      [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
        auto& out = *static_cast<Output*>(stream->data);
        if (count > 0) out.text.append(buffer->base, static_cast<std::size_t>(count));
        if (count < 0) out.ended = true;
      });
  CHECK(turn_until(loop, [&] { return output.ended && started->process->exited(); }));
  CHECK(output.text == "hello\n0 1 2 3 ");  // 3 is the one that ls reads the folder with
}

TEST_CASE("child_process: a program that does not exist is an error") {
  net::Loop loop;
  CHECK_FALSE(net::ChildProcess::start(loop.raw(), {"/nonexistent/program"}, {}).has_value());
}

TEST_CASE("child_process: the reaper asks, then kills, then forgets") {
  net::Loop loop;
  net::ChildReaper reaper;
  auto started = net::ChildProcess::start(loop.raw(), {"/bin/sh", "-c", "trap '' TERM; echo ready; exec sleep 100"},
                                          {"PATH=/bin:/usr/bin"});
  REQUIRE(started.has_value());
  bool ready = false;
  started->socket->data = &ready;
  uv_read_start(
      started->socket.get(),
      [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
        static char space[64];
        *buffer = uv_buf_init(space, sizeof space);
      },
      [](uv_stream_t* stream, ssize_t, const uv_buf_t*) { *static_cast<bool*>(stream->data) = true; });
  REQUIRE(turn_until(loop, [&] { return ready; }));
  reaper.take(std::move(started->process), 0, 0);
  reaper.sweep(net::ChildReaper::kill_after - 1);
  CHECK_FALSE(reaper.empty());  // it ignores SIGTERM
  reaper.sweep(net::ChildReaper::kill_after);
  CHECK(turn_until(loop, [&] {
    reaper.sweep(net::ChildReaper::kill_after);
    return reaper.empty();
  }));
}

}  // namespace net_test
