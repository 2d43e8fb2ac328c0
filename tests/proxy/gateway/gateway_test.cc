// The life of a gateway within this process, in a thread of its own: what it does to its privileges, it does to that.
#include "proxy/gateway/gateway.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <future>
#include <string>
#include <thread>

#include "proxy/runtime/preflight.h"
#include "tests/support/catch.h"
#include "tests/support/certificates.h"

namespace gateway_test {

using namespace postern;

std::shared_ptr<const postern::runtime::Runtime> runtime(std::uint16_t port) {
  const test_support::TempDirectory directory;
  const auto made = test_support::make_certificate({.dns_names = {"mx.example.org"}});
  const std::string yaml =
      "hostname: gateway.example\nworkers: 2\ncertificates: { mx: [{ chain: " +
      directory.write("chain", made.certificate_pem()) + ", key: " + directory.write("key", made.key_pem()) +
      " }] }\ninbound:\n  mx: { greeting: gateway, certificates: [mx], listen: [\"127.0.0.1:" + std::to_string(port) +
      "\"], backend: { address: \"127.0.0.1:1\" }, allow_open_relay_risk: true }\n";
  const postern::runtime::Made snapshot = runtime::prepare(config::load_text(yaml, "gateway.yaml", {}));
  for (const auto& diagnostic : snapshot.loaded.diagnostics) UNSCOPED_INFO(config::to_string(diagnostic));
  REQUIRE(snapshot.runtime);
  return snapshot.runtime;
}

// A blocking client.
class Client {
 public:
  explicit Client(std::uint16_t port) : connected_(connect(port)) {
    const timeval patience = {20, 0};  // a hanging test is a failing one
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  bool connected() const { return connected_; }
  // A reply's line; empty at the end.
  std::string reply() {
    std::string line;
    char octet = 0;
    while (octet != '\n') {
      const ssize_t count = ::recv(fd_.get(), &octet, 1, 0);
      if (count == 1) line += octet;
      if (count == 0 || (count < 0 && errno != EINTR)) break;  // a signal interrupts it
    }
    return line;
  }
  std::string command(const std::string& line) {
    (void)!::send(fd_.get(), (line + "\r\n").data(), line.size() + 2, MSG_NOSIGNAL);
    return reply();
  }

 private:
  bool connect(std::uint16_t port) {
    fd_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  UniqueFd fd_;
  bool connected_;
};

// A signal that comes when the gateway has gone already ends nobody.
class SignalGuard {
 public:
  SignalGuard() {
    auto handle = std::make_unique<uv_signal_t>();
    REQUIRE(uv_signal_init(loop_.raw(), handle.get()) == 0);
    handle->data = nullptr;
    handle_.reset(handle.release());
    uv_signal_start(
        handle_.get(), [](uv_signal_t*, int) noexcept {}, SIGTERM);
  }

 private:
  net::Loop loop_;
  net::HandlePtr<uv_signal_t> handle_;
};

// One that has started, and runs until it ends by itself.
class Running {
 public:
  explicit Running(std::uint16_t port) {
    const auto started = std::make_shared<std::promise<bool>>();
    auto has_started = started->get_future();
    thread_ = std::thread([made = runtime(port), started] {
      postern::gateway::Gateway gateway(made);
      const bool good = !gateway.start();
      started->set_value(good);
      if (good) gateway.run();
    });
    REQUIRE(has_started.get());
    // A worker listens a moment later.
    for (int tries = 0; tries < 4000 && !Client(port).connected(); ++tries) ::usleep(5000);
  }
  ~Running() {
    if (thread_.joinable()) thread_.join();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void join() { thread_.join(); }

 private:
  SignalGuard guard_;
  std::thread thread_;
};

// A port that was free a moment ago.
std::uint16_t free_port() {
  return net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1)->address.port;
}

void terminate() {
  ::kill(::getpid(), SIGTERM);
}

TEST_CASE("gateway: at SIGTERM clients are told with their next command, and it ends") {
  const std::uint16_t port = free_port();
  Running gateway(port);
  Client client(port);
  CHECK(client.reply().starts_with("220 gateway.example"));
  terminate();
  std::string told;
  do told = client.command("HELO client.example");  // until the signal has arrived
  while (told.starts_with("250"));
  CHECK(told.starts_with("421 4.3.2 "));
  gateway.join();
}

TEST_CASE("gateway: a second SIGTERM ends it at once, without a word to anybody") {
  const std::uint16_t port = free_port();
  Running gateway(port);
  Client client(port);
  client.reply();
  CHECK(client.command("HELO client.example").starts_with("250"));
  terminate();
  while (!Client(port).reply().empty()) continue;  // until the first one has arrived
  terminate();
  CHECK(client.reply().empty());
  gateway.join();
}

TEST_CASE("gateway: one that cannot have its address says so, and serves nobody") {
  const std::uint16_t port = free_port();
  // Before others run: libuv closes descriptors unseen by the Thread sanitizer, to which a file that then gets the
  // number of a connection is a race.
  const auto same = runtime(port);
  Running gateway(port);
  postern::gateway::Gateway second(same);
  const auto error = second.start();
  REQUIRE(error);
  CHECK(error->message.find(std::to_string(port)) != std::string::npos);
  terminate();
  gateway.join();
}

}  // namespace gateway_test
