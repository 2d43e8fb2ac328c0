// The life of a gateway within this process: what serves is a program, so that no privilege has to be given up for
// good.
#include "proxy/gateway.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

#include "proxy/preflight.h"
#include "tests/support/catch.h"

namespace gateway_test {

using namespace postern;

std::shared_ptr<const Runtime> runtime(std::uint16_t port) {
  const std::string yaml =
      "hostname: gateway.example\nworkers: 2\ninbound:\n  mx: { mode: none, listen: [\"127.0.0.1:" +
      std::to_string(port) +
      "\"], backend: { exec: [/bin/sh, -c, \"echo 220 hello; while read line; do echo 250 ok; done\"] } }\n";
  Prepared prepared = prepare(config::load_text(yaml, "gateway.yaml", {}));
  for (const auto& diagnostic : prepared.loaded.diagnostics) UNSCOPED_INFO(config::to_string(diagnostic));
  REQUIRE(prepared.contexts);
  return make_runtime(std::move(prepared), policy::MtaStsStore::Access::read_only);
}

// A blocking client.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience = {20, 0};  // a hanging test is a failing one
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  // A reply's line; empty at the end.
  std::string reply() {
    std::string line;
    for (char octet = 0; octet != '\n' && ::recv(fd_.get(), &octet, 1, 0) == 1;) line += octet;
    return line;
  }
  std::string command(const std::string& line) {
    (void)!::send(fd_.get(), (line + "\r\n").data(), line.size() + 2, MSG_NOSIGNAL);
    return reply();
  }

 private:
  net::UniqueFd fd_;
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
  Gateway gateway(runtime(port));
  REQUIRE_FALSE(gateway.start());
  std::string greeting;
  std::string told;
  std::thread client_thread([&] {
    Client client(port);
    greeting = client.reply();
    terminate();
    do told = client.command("NOOP");  // until the signal has arrived
    while (told.starts_with("250"));
  });
  gateway.run();
  client_thread.join();
  CHECK(greeting == "220 hello\r\n");
  CHECK(told.starts_with("421 4.3.2 "));
}

TEST_CASE("gateway: a second SIGTERM ends it at once, whatever is under way") {
  const std::uint16_t port = free_port();
  Gateway gateway(runtime(port));
  REQUIRE_FALSE(gateway.start());
  std::string end = "none";
  std::thread client_thread([&] {
    Client client(port);
    client.reply();
    client.command("MAIL FROM:<a@example.net>");
    terminate();
    while (Client(port).reply() == "220 hello\r\n") continue;  // until the first one has arrived
    terminate();
    end = client.reply();
  });
  gateway.run();
  client_thread.join();
  CHECK(end.empty());
}

TEST_CASE("gateway: one that cannot have its address says so, and serves nobody") {
  const std::uint16_t port = free_port();
  Gateway first(runtime(port));
  REQUIRE_FALSE(first.start());
  while (Client(port).reply().empty()) continue;  // its workers listen
  {
    Gateway second(runtime(port));
    const auto error = second.start();
    REQUIRE(error);
    CHECK(error->message.find(std::to_string(port)) != std::string::npos);
  }
  std::thread stopper([] { terminate(); });
  first.run();
  stopper.join();
}

}  // namespace gateway_test
