// A gateway within this process, in a thread of its own, and the test as its keeper.
#include "proxy/gateway/gateway.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "proxy/keeper/bundle.h"
#include "proxy/observe/log.h"
#include "proxy/runtime/preflight.h"
#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/support/send_packet.h"

namespace gateway_test {

using namespace postern;

const timeval patience = {20, 0};  // a hanging test is a failing one

// A blocking client.
class Client {
 public:
  explicit Client(std::uint16_t port) : connected_(connect(port)) {
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

// Bound, and not listened on yet.
struct Address {
  net::BoundAddress bound = std::move(*net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 2));
  std::uint16_t port() const { return bound.address.port; }
  std::string text() const { return "127.0.0.1:" + std::to_string(port()); }
};

std::string configuration(const std::string& hostname, const std::string& address) {
  static const test_support::TempDirectory directory;
  static const auto made = test_support::make_certificate({.dns_names = {"mx.example.org"}});
  static const std::string chain = directory.write("chain", made.certificate_pem());
  static const std::string key = directory.write("key", made.key_pem());
  return "hostname: " + hostname + "\nlog: { level: error }\ncertificates: { mx: [{ chain: " + chain + ", key: " + key +
         " }] }\ninbound:\n  mx: { greeting: gateway, certificates: [mx], listen: [\"" + address +
         "\"], backend: { address: \"127.0.0.1:1\" }, allow_open_relay_risk: true }\n";
}

UniqueFd sealed(const std::string& yaml, const std::string& hostname) {
  keeper::Bundle bundle;
  bundle.name = "gateway.yaml";
  bundle.text = yaml;
  bundle.hostname = hostname;
  const auto loaded = config::load_text(yaml, bundle.name, {});
  if (loaded.ok()) bundle.files = config::read_files(loaded);
  auto fd = seal(bundle);
  REQUIRE(fd);
  return std::move(*fd);
}

// A gateway that runs until it ends by itself, and who tells it what to do.
class Running {
 public:
  Running() {
    auto pair = net::packet_pair();
    REQUIRE(pair);
    ours_ = std::move(pair->first);
    ::setsockopt(ours_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    auto theirs = std::make_shared<UniqueFd>(std::move(pair->second));
    thread_ = std::thread([theirs] {
      {
        postern::gateway::Gateway gateway(std::move(*theirs));
        gateway.run();
      }
      log::stop();
    });
  }
  // One that serves.
  explicit Running(const Address& address, const std::string& hostname = "gateway.example") : Running() {
    serve(address, hostname);
  }
  ~Running() {
    ours_ = UniqueFd();
    if (thread_.joinable()) thread_.join();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void order(const keeper::Order& order, const std::vector<int>& descriptors = {}) const {
    test_support::send_packet(ours_, encode(order), descriptors);
  }
  // A whole snapshot, with those sockets for its two workers.
  void snapshot(std::uint32_t version, const UniqueFd& bundle, const std::vector<const Address*>& addresses) const {
    order(keeper::Snapshot{version}, {bundle.get()});
    for (const Address* address : addresses) {
      keeper::Sockets sockets{version, {}};
      for (std::uint32_t w = 0; w < 2; ++w) {
        sockets.entries.push_back(
            {keeper::Sockets::Kind::listening, w, *config::parse_endpoint(address->text()), "inbound.mx"});
      }
      order(sockets, {address->bound.sockets[0].get(), address->bound.sockets[1].get()});
    }
    order(keeper::Commit{version, 2});
  }
  // The next that it says, but for when a snapshot is nobody's any more, which may come at any time; nothing at its
  // end.
  template <class Kind>
  std::optional<Kind> heard() const {
    std::vector<char> octets(keeper::max_message);
    ssize_t size = 0;
    do size = ::recv(ours_.get(), octets.data(), octets.size(), 0);
    while (size < 0 && errno == EINTR);
    REQUIRE(size >= 0);
    if (size == 0) return std::nullopt;
    const auto report = keeper::parse_report({octets.data(), static_cast<std::size_t>(size)});
    REQUIRE(report);
    if (const auto* refused = std::get_if<keeper::Refused>(&*report)) UNSCOPED_INFO(refused->text);
    if (std::holds_alternative<keeper::Retired>(*report)) return heard<Kind>();
    REQUIRE(std::holds_alternative<Kind>(*report));
    return std::get<Kind>(*report);
  }
  void serve(const Address& address, const std::string& hostname = "gateway.example") const {
    snapshot(1, sealed(configuration(hostname, address.text()), hostname), {&address});
    const auto serving = heard<keeper::Serving>();
    REQUIRE(serving);
    CHECK(serving->version == 1);
  }
  void go_away() { ours_ = UniqueFd(); }
  void join() { thread_.join(); }

 private:
  UniqueFd ours_;
  std::thread thread_;
};

// One that serves, and a client that it has greeted.
struct Served {
  const Address address;
  Running gateway{address};
  Client client{address.port()};
  Served() { client.reply(); }
};

// Until it has been told.
std::string next_told(Client& client) {
  std::string told;
  do told = client.command("HELO client.example");
  while (told.starts_with("250"));
  return told;
}

TEST_CASE("gateway: it says that it serves once who connects is served") {
  const Address address;
  const Running gateway(address);
  Client client(address.port());
  CHECK(client.reply().starts_with("220 gateway.example"));
}

TEST_CASE("gateway: told to drain, it tells clients with their next command, says that it has stopped, and ends") {
  Served served;
  served.gateway.order(keeper::Drain{});
  CHECK(next_told(served.client).starts_with("421 4.3.2 "));
  CHECK(served.gateway.heard<keeper::Stopped>());
  CHECK_FALSE(served.gateway.heard<keeper::Stopped>());
  served.gateway.join();
}

TEST_CASE("gateway: asked, it says that it is alive and how many sessions it has, while it drains, too") {
  {
    const Running nothing_yet;  // it has ended before another begins: a process has one log
    nothing_yet.order(keeper::Ask{});
    CHECK(nothing_yet.heard<keeper::Alive>()->sessions == 0);
  }
  Served served;
  CHECK(served.client.command("HELO client.example").starts_with("250"));
  for (const bool draining : {false, true}) {
    if (draining) served.gateway.order(keeper::Drain{});
    served.gateway.order(keeper::Ask{});
    CHECK(served.gateway.heard<keeper::Alive>()->sessions == 1);
  }
}

TEST_CASE("gateway: told to stop, it ends at once, without a word to anybody") {
  Served served;
  CHECK(served.client.command("HELO client.example").starts_with("250"));
  served.gateway.order(keeper::Drain{});
  served.gateway.order(keeper::Stop{});
  CHECK(served.client.reply().empty());
  CHECK(served.gateway.heard<keeper::Stopped>());
  served.gateway.join();
}

TEST_CASE("gateway: without its keeper it drains and ends") {
  Served served;
  served.gateway.go_away();
  CHECK(next_told(served.client).starts_with("421 4.3.2 "));
  served.gateway.join();

  Running idle;
  idle.go_away();
  idle.join();
}

TEST_CASE("gateway: the listening socket outlives it, and who connects meanwhile is served by the next one") {
  const Address address;
  { const Running gateway(address); }
  Client client(address.port());
  CHECK(client.connected());
  const Running next(address, "next.example");
  CHECK(client.reply().starts_with("220 next.example"));
}

TEST_CASE("gateway: its status is told to whom the keeper lets in, as JSON or as text, without an admin server") {
  const Address address;
  const Running gateway(address);
  // Both are there before the first is handed over: libuv closes by a system call of its own, so that the thread
  // sanitizer takes a number that is used again for one that two threads use.
  std::array<std::pair<UniqueFd, UniqueFd>, 2> connections;
  for (auto& [ours, theirs] : connections) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    ours = UniqueFd(ends[0]);
    theirs = UniqueFd(ends[1]);
  }
  for (const bool as_text : {false, true}) {
    auto& [ours, theirs] = connections.at(as_text ? 1 : 0);
    gateway.order(keeper::Status{as_text}, {theirs.get()});
    theirs = UniqueFd();
    std::string heard;
    char bytes[4096];
    for (ssize_t size = 0; (size = ::recv(ours.get(), bytes, sizeof bytes, 0)) > 0;) {
      heard.append(bytes, static_cast<std::size_t>(size));
    }
    CHECK(heard.starts_with(as_text ? "gateway.example: ready\n" : "{\"hostname\":\"gateway.example\""));
    CHECK(heard.find("inbound") != std::string::npos);
  }
}

TEST_CASE("gateway: another snapshot takes over with its sockets, and one that is refused changes nothing") {
  const Address first;
  const Address second;
  const Running gateway(first);
  gateway.snapshot(2, sealed("inbound: { mx: { mode: nonsense } }\n", "two.example"), {&second});
  const auto refused = gateway.heard<keeper::Refused>();
  REQUIRE(refused);
  CHECK(refused->version == 2);
  CHECK(refused->text.find("gateway.yaml:1:") != std::string::npos);
  CHECK(Client(first.port()).reply().starts_with("220 gateway.example"));
  CHECK_FALSE(Client(second.port()).connected());
  gateway.snapshot(3, sealed(configuration("three.example", second.text()), "three.example"), {&second});
  const auto serving = gateway.heard<keeper::Serving>();
  REQUIRE(serving);
  CHECK(serving->version == 3);
  CHECK(Client(second.port()).reply().starts_with("220 three.example"));
}

TEST_CASE("gateway: what is no bundle is refused, and so is another number of workers") {
  const Address address;
  const Running gateway;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  gateway.snapshot(1, reading, {&address});
  CHECK(gateway.heard<keeper::Refused>());
  gateway.serve(address);
  gateway.order(keeper::Snapshot{2}, {sealed(configuration("two.example", address.text()), "two.example").get()});
  gateway.order(keeper::Commit{2, 3});
  const auto refused = gateway.heard<keeper::Refused>();
  REQUIRE(refused);
  CHECK(refused->text.find("restart") != std::string::npos);
}

TEST_CASE("gateway: files that have changed are taken note of by whoever has them, and by nobody else") {
  const Address address;
  const Running gateway(address);
  keeper::Bundle changed;
  changed.files.put("/nobody's", config::File{"content"});
  gateway.order(keeper::Renewed{}, {seal(changed)->get()});
  CHECK(Client(address.port()).reply().starts_with("220 gateway.example"));
}

TEST_CASE("gateway: a worker that is cut off from its keys asks for another connection, and takes it") {
  const Address address;
  const Running gateway;
  auto first = net::packet_pair();
  auto second = net::packet_pair();
  gateway.order(keeper::Snapshot{1},
                {sealed(configuration("gateway.example", address.text()), "gateway.example").get()});
  gateway.order(keeper::Sockets{1, {{keeper::Sockets::Kind::signer, 1, {}, {}}}}, {first->second.get()});
  gateway.order(keeper::Commit{1, 2});
  REQUIRE(gateway.heard<keeper::Serving>());
  first->second = UniqueFd();
  first->first = UniqueFd();
  const auto lost = gateway.heard<keeper::SignerLost>();
  REQUIRE(lost);
  CHECK(lost->worker == 1);
  gateway.order(keeper::Signer{1}, {second->second.get()});
  gateway.order(keeper::Signer{7}, {second->second.get()});  // nobody's
  second->second = UniqueFd();
  second->first = UniqueFd();
  const auto again = gateway.heard<keeper::SignerLost>();
  REQUIRE(again);
  CHECK(again->worker == 1);
}

TEST_CASE("gateway: a keeper that breaks the protocol is not obeyed any more") {
  const auto ends_after = [](const auto& say) {
    Running gateway;
    say(gateway);
    CHECK_FALSE(gateway.template heard<keeper::Stopped>());
    gateway.join();
  };
  const Address address;
  const keeper::Sockets sockets{
      7, {{keeper::Sockets::Kind::listening, 0, *config::parse_endpoint(address.text()), "inbound.mx"}}};
  ends_after([&](const Running& gateway) { gateway.order(sockets, {address.bound.sockets[0].get()}); });
  ends_after([&](const Running& gateway) { gateway.order(keeper::Commit{1, 1}); });
  ends_after([&](const Running& gateway) { gateway.order(keeper::Snapshot{1}); });
  ends_after([&](const Running& gateway) { gateway.order(keeper::Drain{}, {address.bound.sockets[0].get()}); });
  ends_after([&](const Running& gateway) { gateway.order(keeper::Renewed{}, {address.bound.sockets[0].get()}); });
}

}  // namespace gateway_test
