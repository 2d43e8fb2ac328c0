// Both ends together: a worker that has programs started, and the keeper that starts them.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "proxy/programs/client.h"
#include "proxy/programs/server.h"
#include "tests/support/catch.h"
#include "tests/support/turn_until.h"

namespace programs_test {

using namespace postern;
using namespace postern::programs;

bool is_gone(pid_t process) {
  return ::kill(process, 0) != 0 && errno == ESRCH;
}

// What a program writes.
struct Session {
  std::unique_ptr<Client::Program> program;
  net::StreamPtr socket;
  std::string output;
  bool ended = false;
  std::optional<std::string> refused;

  void read() {
    socket->data = this;
    uv_read_start(
        socket.get(),
        [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
          static char space[4096];
          *buffer = uv_buf_init(space, sizeof space);
        },
        [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
          auto& self = *static_cast<Session*>(stream->data);
          if (count > 0) self.output.append(buffer->base, static_cast<std::size_t>(count));
          if (count < 0) self.ended = true;
        });
  }
};

struct Rig {
  explicit Rig(std::size_t most = 10) : server(loop, reaper, {std::nullopt, "/usr/bin:/bin", most}) {
    auto pair = net::packet_pair();
    REQUIRE(pair);
    server.connect(std::move(pair->first), [this](const std::string& why) { breach = why; });
    client.connect(std::move(pair->second));
    server.offer("cat", {"cat"});
    server.offer("env", {"env"});
    server.offer("deaf", {"/bin/sh", "-c", "trap '' TERM; echo $$; while :; do sleep 1; done"});
    server.offer("absent", {"/nonexistent/qmail-smtpd", "-v"});
  }
  std::unique_ptr<Session> start(const std::string& listener, const std::vector<std::string>& environment = {}) {
    auto session = std::make_unique<Session>();
    auto program = client.start(listener, environment, [&session = *session](Result<net::StreamPtr> socket) {
      if (!socket) {
        session.refused = socket.error().message;
        return;
      }
      session.socket = std::move(*socket);
      session.read();
    });
    if (program) {
      session->program = std::move(*program);
    } else {
      session->refused = program.error().message;
    }
    return session;
  }
  bool until(const std::function<bool()>& done) { return test_support::turn_until(loop, done); }

  net::Loop loop;
  net::Reaper reaper{loop};
  Server server;
  Client client{loop};
  std::string breach;
};

// What a gateway says that has been taken over.
class Intruder final : public net::PacketSocket::Owner {
 public:
  explicit Intruder(Rig& rig) {
    auto pair = net::packet_pair();
    REQUIRE(pair);
    rig.server.connect(std::move(pair->first), [&rig](const std::string& why) { rig.breach = why; });
    socket.emplace(rig.loop.raw(), std::move(pair->second), max_message, *this);
  }
  void on_packet(std::string_view packet) override { heard.push_back(*parse_news(packet)); }
  void on_end(const std::string&) override { ended = true; }

  std::optional<net::PacketSocket> socket;
  std::vector<News> heard;
  bool ended = false;
};

UniqueFd one_end() {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  ::close(pair[1]);
  return UniqueFd(pair[0]);
}
net::Descriptors some(UniqueFd fd) {
  net::Descriptors descriptors;
  descriptors.push_back(std::move(fd));
  return descriptors;
}

TEST_CASE("programs: one that is started has the socket, PATH and the session's variables") {
  Rig rig;
  const auto session = rig.start("env", {"PROTO=TCP", "TCPREMOTEIP=192.0.2.7"});
  CHECK_FALSE(session->program->exited());
  CHECK(rig.until([&] { return session->ended && session->program->exited(); }));
  CHECK(session->output == "PATH=/usr/bin:/bin\nPROTO=TCP\nTCPREMOTEIP=192.0.2.7\n");
  CHECK(rig.server.running() == 0);
}

TEST_CASE("programs: a start is refused with its reason, and leaves nothing") {
  Rig rig(2);
  const auto absent = rig.start("absent");
  const auto unknown = rig.start("nobody's");
  CHECK(rig.until([&] { return absent->refused && unknown->refused; }));
  CHECK(*absent->refused == "/nonexistent/qmail-smtpd: No such file or directory");
  CHECK(*unknown->refused == "no program belongs to the listener");
  CHECK(absent->program->exited());
  const auto wrong = rig.start("cat", {"LD_PRELOAD=/tmp/x.so"});
  CHECK(*wrong->refused == "the program's environment is not one that it may have");
  // As many as there may be.
  const auto first = rig.start("cat");
  const auto second = rig.start("cat");
  const auto third = rig.start("cat");
  CHECK(rig.until([&] { return third->refused.has_value(); }));
  CHECK(*third->refused == "2 programs are under way, and no more can be");
  CHECK(first->socket);
  first->socket.reset();
  CHECK(rig.until([&] { return first->program->exited(); }));
  const auto fourth = rig.start("cat");
  CHECK(rig.until([&] { return fourth->socket != nullptr; }));
}

TEST_CASE("programs: signals reach the program, and the worker hears of its end") {
  Rig rig;
  const auto session = rig.start("deaf");
  CHECK(rig.until([&] { return !session->output.empty(); }));
  const pid_t pid = std::stoi(session->output);
  session->program->terminate();
  const auto other = rig.start("cat");  // in order behind the signal
  CHECK(rig.until([&] { return other->socket != nullptr; }));
  CHECK_FALSE(session->program->exited());
  other->program->terminate();
  CHECK(rig.until([&] { return other->program->exited(); }));
  session->program->kill();
  CHECK(rig.until([&] { return session->program->exited(); }));
  CHECK(is_gone(pid));
  session->program->kill();  // harmless
}

TEST_CASE("programs: a session that is over while its program starts is not told, and the program finds the end") {
  Rig rig;
  const auto given_up = rig.start("cat");
  given_up->program->give_up();
  auto destroyed = rig.start("cat");
  destroyed.reset();
  const auto signalled = rig.start("deaf");
  signalled->program->kill();  // behind the start, which has not been heard yet
  CHECK(rig.until([&] { return given_up->program->exited() && signalled->program->exited(); }));
  CHECK_FALSE(given_up->refused);
  CHECK(given_up->socket == nullptr);
  CHECK(rig.until([&] { return rig.server.running() == 0; }));
}

TEST_CASE("programs: a keeper that is gone fails what is about to start, at once, and leaves alone what runs") {
  net::Loop loop;
  Client client(loop);
  const auto nobody = client.start("mx", {}, [](const auto&) {});
  CHECK(nobody.error().message == "no program can be started: nobody starts programs yet");
  auto pair = net::packet_pair();
  REQUIRE(pair);
  client.connect(std::move(pair->second));
  std::vector<std::string> refused;
  std::unique_ptr<Client::Program> second;
  const auto hear = [&](const Result<net::StreamPtr>& socket) {
    refused.push_back(socket.error().message);
    second.reset();  // of which nobody wants to hear any more
  };
  auto first = client.start("mx", {}, hear);
  REQUIRE(first);
  second = std::move(*client.start("mx", {}, hear));
  pair->first = UniqueFd();
  CHECK(test_support::turn_until(loop, [&] { return !refused.empty(); }));
  CHECK(refused[0] == "no program can be started: the keeper has gone");
  CHECK((*first)->exited());
  (*first)->kill();
  CHECK_FALSE(client.start("mx", {}, hear));
}

TEST_CASE("programs: those of a gateway that is gone find the end of their input, and end") {
  Rig rig;
  pid_t polite = 0;
  {
    Client other(rig.loop);
    auto pair = net::packet_pair();
    REQUIRE(pair);
    rig.server.connect(std::move(pair->first));
    other.connect(std::move(pair->second));
    rig.server.offer("talks", {"/bin/sh", "-c", "echo $$; exec cat"});
    Session session;
    auto program = other.start("talks", {}, [&](Result<net::StreamPtr> socket) {
      session.socket = std::move(*socket);
      session.read();
    });
    REQUIRE(program);
    CHECK(rig.until([&] { return !session.output.empty(); }));
    polite = std::stoi(session.output);
  }
  CHECK(rig.until([&] { return is_gone(polite); }));
  CHECK(rig.server.running() == 0);
}

TEST_CASE("programs: a worker that breaks the protocol is not listened to any more") {
  Rig rig;
  const std::string start = *encode(Start{1, "cat", {}});
  const auto is_left = [&](std::string packet, net::Descriptors descriptors, const std::string& why) {
    Intruder intruder(rig);
    rig.breach.clear();
    intruder.socket->send(std::move(packet), std::move(descriptors));
    CHECK(rig.until([&] { return intruder.ended; }));
    INFO(rig.breach);
    CHECK(rig.breach.find(why) != std::string::npos);
    CHECK(intruder.heard.empty());
  };
  is_left("nonsense", {}, "breaks a bound");
  is_left(start, {}, "without a socket");
  is_left(start, some(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))), "without a socket");
  is_left(encode(Order{1, Order::What::kill}), some(one_end()), "brought a descriptor");
  is_left(encode(News{}), {}, "breaks a bound");
  net::Descriptors two = some(one_end());
  two.push_back(one_end());
  is_left(start, std::move(two), "");

  Intruder intruder(rig);
  intruder.socket->send(encode(Order{9, Order::What::kill}));  // of none: it may have ended
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const UniqueFd ours(pair[0]);
  intruder.socket->send(start, some(UniqueFd(pair[1])));
  CHECK(rig.until([&] { return intruder.heard.size() == 1; }));
  CHECK(intruder.heard[0].kind == News::Kind::started);
  CHECK(rig.server.running() == 1);
  intruder.socket->send(start, some(one_end()));
  CHECK(rig.until([&] { return intruder.ended; }));
  CHECK(rig.breach == "a program was to be started twice");
  // The others go on.
  const auto session = rig.start("cat");
  CHECK(rig.until([&] { return session->socket != nullptr; }));
}

}  // namespace programs_test
