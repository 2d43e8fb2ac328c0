#include "proxy/stream/stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "proxy/net/loop.h"
#include "tests/support/held_keys.h"
#include "tests/support/turn_until.h"
#include "tests/tls/engine_pair.h"

namespace stream_test {

using namespace postern;
using namespace std::string_view_literals;
using tls::engine_pair::make_server;
using tls::engine_pair::Peer;
using tls::engine_pair::TestClient;

// A stream of a server, and the client at the other end of its socket. All of them share one worker's scratch.
struct Connection final : postern::stream::Stream::Owner {
  Connection(net::Loop& loop, postern::stream::Scratch& scratch, std::unique_ptr<tls::Engine> client_engine)
      : client(std::move(client_engine)) {
    std::signal(SIGPIPE, SIG_IGN);  // as the program does
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    auto socket = net::make_pipe(loop.raw());
    REQUIRE(uv_pipe_open(reinterpret_cast<uv_pipe_t*>(socket.get()), ends[0]) == 0);
    far_end = ends[1];
    stream = std::make_unique<postern::stream::Stream>(*this, scratch.first, std::move(socket));
  }
  ~Connection() { ::close(far_end); }

  void on_bytes(postern::stream::Stream&, std::string_view bytes) override {
    heard += bytes;
    if (answer) answer();
  }
  void on_handshake(postern::stream::Stream&, Result<tls::SessionFacts> facts) override {
    shaken = facts ? std::string() : facts.error().message;
  }
  void on_end(postern::stream::Stream&, std::string_view error) override { ended = std::string(error); }
  void on_drained(postern::stream::Stream&) override {}

  // What the server has sent reaches the client.
  void deliver() {
    char octets[65536];
    for (ssize_t got; (got = ::read(far_end, octets, sizeof octets)) > 0;) {
      client.feed({octets, static_cast<std::size_t>(got)});
    }
  }
  // What the client has said reaches the server, as one read.
  void hear(const std::string& behind = {}) { stream->feed(client.take_output() + behind); }

  void shake_hands(const tls::ServerContext& context) {
    REQUIRE_FALSE(stream->start_tls(std::move(*context.make_engine())));
    client.start();
    for (int round = 0; round < 3; ++round) {
      hear();
      deliver();
    }
    REQUIRE(client.completed == 1);
  }
  void say(std::string_view text) const {
    stream->send(text);
    (void)stream->flush();
  }

  Peer client;
  int far_end = -1;
  std::unique_ptr<postern::stream::Stream> stream;
  std::function<void()> answer;
  std::string heard;
  std::optional<std::string> ended;
  std::optional<std::string> shaken;  // what became of the handshake: empty, or why not
};

// A record that nobody encrypted.
constexpr std::string_view no_record = "\x17\x03\x03\x00\x20________________________________"sv;

struct World {
  net::Loop loop;
  postern::stream::Scratch scratch;
  std::unique_ptr<tls::ServerContext> context = make_server();
  TestClient test_client;

  std::unique_ptr<Connection> connect() {
    auto made = std::make_unique<Connection>(loop, scratch, test_client.engine());
    made->shake_hands(*context);
    return made;
  }
  bool nothing_is_left() const {
    return scratch.first.cipher.empty() && scratch.second.cipher.empty() && scratch.first.gather.empty() &&
           scratch.second.gather.empty();
  }
};

TEST_CASE("stream: one session's broken TLS leaves nothing behind that another session would send") {
  for (const bool answers : {false, true}) {
    INFO(answers);
    World world;
    const auto attacker = world.connect();
    const auto victim = world.connect();
    if (answers) attacker->answer = [&] { attacker->say("250 answered too late\r\n"); };
    attacker->client.send("NOOP\r\n");
    attacker->hear(std::string(no_record));
    CHECK(attacker->heard == "NOOP\r\n");
    CHECK(attacker->ended.has_value());
    CHECK(world.nothing_is_left());

    // It is not told yet, and says more.
    attacker->say("250 later still\r\n");
    (void)attacker->stream->finish();
    CHECK(world.nothing_is_left());
    victim->say("250 ok\r\n");
    victim->deliver();
    CHECK(victim->client.text == "250 ok\r\n");
    CHECK(victim->client.error.empty());
    attacker->deliver();
    CHECK_FALSE(attacker->client.error.empty());  // the alert is its own
  }
}

TEST_CASE("stream: a handshake that is followed by garbage leaves nothing behind") {
  World world;
  Connection attacker(world.loop, world.scratch, world.test_client.engine());
  REQUIRE_FALSE(attacker.stream->start_tls(std::move(*world.context->make_engine())));
  attacker.client.start();
  attacker.hear();
  attacker.deliver();
  attacker.hear(std::string(no_record));  // behind the client's Finished
  CHECK(world.nothing_is_left());
  const auto victim = world.connect();
  victim->say("250 ok\r\n");
  victim->deliver();
  CHECK(victim->client.text == "250 ok\r\n");
}

TEST_CASE("stream: what was said to a connection that has broken goes nowhere") {
  World world;
  const auto gone = world.connect();
  REQUIRE(::shutdown(gone->far_end, SHUT_RDWR) == 0);
  gone->say("250 one\r\n");
  gone->say("250 two\r\n");
  CHECK(world.nothing_is_left());
  const auto victim = world.connect();
  victim->say("250 ok\r\n");
  victim->deliver();
  CHECK(victim->client.text == "250 ok\r\n");
}

// A connection whose key is elsewhere, up to where its handshake waits.
struct Waiting {
  net::Loop loop;
  postern::stream::Scratch scratch;
  test_support::HeldKeys keys;
  std::unique_ptr<tls::ServerContext> context =
      make_server(tls::engine_pair::server_options({keys.hold(test_support::make_certificate({}))}));
  TestClient test_client;
  Connection connection{loop, scratch, test_client.engine()};

  explicit Waiting(const std::string& behind = {}) {
    scratch.signer = &keys;
    connection.stream->set_reading(true);
    REQUIRE_FALSE(connection.stream->start_tls(std::move(*context->make_engine())));
    connection.client.start();
    say(connection.client.take_output() + behind);
    REQUIRE(turn([this] { return keys.waiting() == 1; }));
  }
  void say(const std::string& octets) const {
    REQUIRE(::send(connection.far_end, octets.data(), octets.size(), 0) == static_cast<ssize_t>(octets.size()));
  }
  bool turn(const std::function<bool()>& until) { return test_support::turn_until(loop, until); }
  bool nothing_is_left() const { return scratch.first.cipher.empty() && scratch.first.gather.empty(); }
};

TEST_CASE("stream: a handshake waits for its signature, and others go on") {
  Waiting world;
  World other;
  const auto served = other.connect();
  served->say("250 ok\r\n");
  served->deliver();
  CHECK(served->client.text == "250 ok\r\n");

  CHECK_FALSE(world.connection.shaken);
  CHECK(world.connection.stream->handshaking());
  CHECK(world.connection.stream->reading());  // to notice whoever goes
  world.keys.answer();
  world.connection.deliver();
  world.say(world.connection.client.take_output());
  REQUIRE(world.turn([&] { return world.connection.shaken.has_value(); }));
  CHECK(*world.connection.shaken == "");
  CHECK(world.nothing_is_left());
}

TEST_CASE("stream: what comes while a handshake waits is kept, once, and looked at then") {
  for (const bool with_hello : {false, true}) {
    Waiting world(with_hello ? std::string(20'000, 'x') : std::string());
    if (!with_hello) {
      world.say(std::string(20'000, 'x'));
      REQUIRE(world.turn([&] { return !world.connection.stream->reading(); }));
    }
    CHECK_FALSE(world.connection.stream->reading());
    world.say(std::string(20'000, 'y'));
    uv_run(world.loop.raw(), UV_RUN_NOWAIT);
    CHECK(world.connection.stream->bytes_in() < 30'000);
    CHECK_FALSE(world.connection.shaken);
    world.keys.answer();
    REQUIRE(world.connection.shaken);
    CHECK(world.connection.shaken->starts_with("TLS handshake failed"));
    CHECK(world.nothing_is_left());
  }
}

TEST_CASE("stream: what a waiting handshake keeps is little, counts as what waits, and no longer than that") {
  constexpr auto step = static_cast<std::size_t>(limits::BufferAccount::step);
  for (const int ending : {0, 1, 2, 3, 4}) {
    for (const bool with_hello : {false, true}) {
      INFO(ending << " " << with_hello);
      Waiting world(with_hello ? std::string(20'000, 'x') : std::string());
      const auto shared = std::make_shared<limits::Buffered>();
      world.scratch.waiting.share(shared);
      if (!with_hello) {
        world.scratch.waiting.add(step - 1);  // just not told
        world.say(std::string(20'000, 'x'));
        REQUIRE(world.turn([&] { return !world.connection.stream->reading(); }));
        CHECK(shared->octets() == step - 1 + world.connection.stream->engine()->kept());
      }
      const std::size_t kept = world.connection.stream->engine()->kept();
      CHECK(kept > 0);
      CHECK(kept <= postern::stream::Scratch::handshake_read_size);
      const std::uint64_t before = shared->octets();
      if (ending == 0) world.keys.answer();
      if (ending == 1) (void)world.connection.stream->finish();
      if (ending == 2) world.connection.stream->drop();
      if (ending == 3) world.connection.stream.reset();
      if (ending == 4) world.connection.stream->break_off("gone");
      if (with_hello) {
        world.scratch.waiting.add(step);
        CHECK(shared->octets() == step);
      } else {
        world.scratch.waiting.take(step - kept);
        CHECK(shared->octets() == before - step);
      }
    }
  }
}

TEST_CASE("stream: a client that goes while its handshake waits is noticed, and the answer is nobody's") {
  Waiting world;
  REQUIRE(::shutdown(world.connection.far_end, SHUT_RDWR) == 0);
  REQUIRE(world.turn([&] { return world.connection.shaken.has_value(); }));
  CHECK(*world.connection.shaken == "the peer closed during the TLS handshake");
  world.keys.answer();
  CHECK(world.nothing_is_left());
}

TEST_CASE("stream: an owner that gives up a waiting handshake hears no more of it") {
  Waiting world;
  SECTION("it finishes") {
    (void)world.connection.stream->finish();
  }
  SECTION("it drops") {
    world.connection.stream->drop();
  }
  SECTION("it is gone") {
    world.connection.stream->drop();
    world.connection.stream.reset();
  }
  world.keys.answer();
  CHECK_FALSE(world.connection.shaken);
  CHECK(world.nothing_is_left());
}

TEST_CASE("stream: a handshake whose signature is not to be had fails at once, and says so to its client") {
  Waiting world;
  world.keys.answer_with(fail(Errc::temporary, "the signer has ended"));
  REQUIRE(world.connection.shaken);
  CHECK(*world.connection.shaken == "TLS handshake failed: no signature: the signer has ended");
  CHECK(world.connection.stream->engine()->failure() == tls::HandshakeFailure::no_signature);
  world.connection.deliver();
  CHECK(world.connection.client.error.ends_with("internal error"));
}

}  // namespace stream_test
