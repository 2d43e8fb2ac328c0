#include "proxy/observe/admin_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <mutex>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/descriptors.h"

namespace admin_server_test {

using namespace postern;
namespace descriptors = postern::descriptors;
using observe::AdminServer;

// A server on a port of its own that answers with the path, but for those that begin with /later: kept.
struct Running {
  explicit Running() {
    std::signal(SIGPIPE, SIG_IGN);  // as the program does
    auto bound = net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1);
    REQUIRE(bound);
    port = bound->address.port;
    auto started = AdminServer::make(std::move(bound->sockets[0]),
                                     [this](std::string_view path, std::string_view query, auto answer) {
                                       if (!path.starts_with("/later"))
                                         return answer({200, "text/plain", std::string(path) + std::string(query)});
                                       const std::lock_guard lock(mutex);
                                       later = std::move(answer);
                                     });
    REQUIRE(started);
    server = std::move(*started);
    server->run();
  }
  UniqueFd connect() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(connect(fd));
    return fd;
  }
  bool connect(const UniqueFd& fd) const {
    const timeval patience = {20, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  AdminServer::Answer take_later() {
    for (;;) {
      const std::lock_guard lock(mutex);
      if (later) return std::exchange(later, {});
    }
  }

  std::uint16_t port = 0;
  std::mutex mutex;
  AdminServer::Answer later;
  std::unique_ptr<AdminServer> server;
};

void say(const UniqueFd& fd, std::string_view text) {
  (void)!::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
}
std::string rest(const UniqueFd& fd) {
  std::string heard;
  char bytes[4096];
  for (;;) {
    const ssize_t count = ::recv(fd.get(), bytes, sizeof bytes, 0);
    // The kernel takes down the io_uring of a loop that this thread has made, and interrupts it for that.
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return heard;
    heard.append(bytes, static_cast<std::size_t>(count));
  }
}

TEST_CASE("admin server: a GET is answered, and the connection ends") {
  Running running;
  for (int i = 0; i < 3; ++i) {
    const auto client = running.connect();
    say(client, "GET /metr");
    say(client, "ics HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string heard = rest(client);
    CHECK(heard.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(heard.ends_with("\r\n\r\n/metrics"));
  }
}

TEST_CASE("admin server: a client that says no more once it has asked is answered, and the connection ends") {
  Running running;
  const bool is_later = GENERATE(false, true);
  const auto client = running.connect();
  say(client, is_later ? "GET /later HTTP/1.0\r\n\r\n" : "GET /now HTTP/1.0\r\n\r\n");
  ::shutdown(client.get(), SHUT_WR);
  if (is_later) running.take_later()({200, "text/plain", std::string(1 << 20, 'x') + "/later"});
  CHECK(rest(client).ends_with(is_later ? "x/later" : "/now"));
  // Its place is free at once, and not when its time is over.
  std::vector<UniqueFd> others;
  for (std::size_t i = 1; i < AdminServer::connection_limit; ++i) others.push_back(running.connect());
  const auto last = running.connect();
  say(last, "GET /last HTTP/1.0\r\n\r\n");
  CHECK(rest(last).ends_with("/last"));
}

TEST_CASE("admin server: it can be reached when no descriptors are left, again and again") {
  Running running;
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 3; ++i) clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::vector<std::string> heard;
  {
    const descriptors::NoneLeft exhausted;
    for (UniqueFd& client : clients) {
      running.connect(client);
      say(client, "GET /a HTTP/1.0\r\n\r\n");
      heard.push_back(rest(client));
      ::shutdown(client.get(), SHUT_RDWR);
    }
  }
  for (const std::string& each : heard) CHECK(each.ends_with("/a"));
}

TEST_CASE("admin server: what is no GET is refused, and what is no HTTP too") {
  Running running;
  for (const auto& [said, status] : {std::pair("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", " 405 "),
                                     {"EHLO x\r\n", " 400 "},
                                     {"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", " 413 "}}) {
    const auto client = running.connect();
    say(client, said);
    CHECK(rest(client).find(status) == 8);
  }
}

TEST_CASE("admin server: whoever only connects is bounded, and closed in time") {
  Running running;
  std::vector<UniqueFd> idle;
  for (std::size_t i = 0; i < AdminServer::connection_limit; ++i) idle.push_back(running.connect());
  const auto begun = std::chrono::steady_clock::now();
  const auto one_more = running.connect();
  CHECK(rest(one_more).empty());
  CHECK(std::chrono::steady_clock::now() - begun < AdminServer::patience / 2);
  idle.pop_back();
  // The place of one that has gone is free, as soon as that is noticed.
  std::string heard;
  while (heard.empty() && std::chrono::steady_clock::now() - begun < AdminServer::patience) {
    const auto client = running.connect();
    say(client, "GET /a HTTP/1.1\r\n\r\n");
    heard = rest(client);
  }
  CHECK(heard.ends_with("/a"));
  CHECK(rest(idle[0]).empty());
  const auto took = std::chrono::steady_clock::now() - begun;
  CHECK(took >= AdminServer::patience / 2);
  CHECK(took < 2 * AdminServer::patience);
}

TEST_CASE("admin server: who was let in elsewhere gets the body alone, and another socket takes over") {
  Running running;
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const UniqueFd ours(ends[0]);
  running.server->tell(UniqueFd(ends[1]), "/status", "format=json");
  CHECK(rest(ours) == "/statusformat=json");
  auto bound = net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1);
  REQUIRE(bound);
  running.server->listen_on(std::move(bound->sockets[0]));
  running.server->tell(UniqueFd(), "/nobody", "");  // is harmless, and so is who has gone
  const std::uint16_t before = std::exchange(running.port, bound->address.port);
  const auto client = [&] {
    for (;;) {
      UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (running.connect(fd)) return fd;
    }
  }();
  say(client, "GET /new HTTP/1.0\r\n\r\n");
  CHECK(rest(client).ends_with("/new"));
  running.port = before;
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK_FALSE(running.connect(fd));
}

TEST_CASE("admin server: an answer may come later, from elsewhere, and to nobody any more") {
  Running running;
  const auto client = running.connect();
  say(client, "GET /later HTTP/1.1\r\n\r\n");
  running.take_later()({200, "text/plain", "at last"});
  CHECK(rest(client).ends_with("at last"));
  auto gone = running.connect();
  say(gone, "GET /later HTTP/1.1\r\n\r\n");
  const auto answer = running.take_later();
  gone = UniqueFd();
  answer({200, "text/plain", std::string(1 << 20, 'x')});
  const auto next = running.connect();
  say(next, "GET /b HTTP/1.1\r\n\r\n");
  CHECK(rest(next).ends_with("/b"));
  // And one that is under way when the server goes.
  const auto waits = running.connect();
  say(waits, "GET /later HTTP/1.1\r\n\r\n");
  (void)running.take_later();
  running.server.reset();
  CHECK(rest(waits).empty());
}

}  // namespace admin_server_test
