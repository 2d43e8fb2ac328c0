// How a session drains, over sockets on loopback.
#include "tests/proxy/session/session_rig.h"

#include "proxy/inbound/inbound_session.h"

namespace session_drain_test {

using namespace postern;
using session::Drained;
using session_rig::converse;
using session_rig::World;

World& begin(World& world) {
  world.begin([&](net::StreamPtr socket) {
    const auto& backend = world.runtime->settings.inbound[0].backend;
    return std::make_unique<postern::inbound::InboundSession>(
        world.around, world.runtime, world.runtime->inbound.begin()->second,
        std::make_shared<postern::inbound::BackendPool>(backend.addresses), 1, std::move(socket));
  });
  return world;
}

const std::string configuration =
    "hostname: gateway.example\ncertificates: { mx: [CERTIFICATE] }\ninbound: { mx: { listen: [\"127.0.0.1:2525\"], "
    "certificates: [mx], allow_open_relay_risk: true, backend: { address: \"SERVER\" } } }\n";

// A worker looks at its sessions again, that many milliseconds after they were told to drain.
struct Draining {
  World& world;
  std::uint64_t begun = world.loop.now();

  explicit Draining(World& of, std::uint64_t tell = 3'000, std::uint64_t end = 20'000) : world(of) {
    world.sessions[0]->on_drain({begun + tell, begun + end});
  }
  // What the client hears then; empty: nothing.
  std::string sweep(std::uint64_t after, std::uint64_t wait = 5'000) {
    world.client->heard.clear();
    world.sessions[0]->sweep(begun + after);
    (void)world.until([this] { return !world.client->heard.empty(); }, wait);
    return world.client->heard;
  }
  bool silent(std::uint64_t after) { return sweep(after, 20).empty(); }
  bool over() {
    return world.until([this] { return world.client->ended; });
  }
};

const std::string told = "421 4.3.2 Service is shutting down, try again\r\n";

TEST_CASE("drain: an idle client is told when it is its turn, and not before") {
  World world(configuration);
  REQUIRE(converse(begin(world), {"EHLO client.example\r\n"}));
  Draining draining(world);
  CHECK(draining.silent(2'900));
  CHECK_FALSE(world.until([&] { return world.client->ended; }, 100));
  CHECK(draining.sweep(3'100) == told);
  CHECK(world.sessions[0]->drained() == Drained::told);
}

TEST_CASE("drain: who has just been answered hears of it with its next command, or after a second of silence") {
  World world(configuration);
  REQUIRE(converse(begin(world), {"EHLO client.example\r\n"}));
  const bool speaks = GENERATE(true, false);
  Draining draining(world, 0);
  CHECK(draining.silent(10));
  if (speaks) {
    world.client->say("NOOP\r\n");
    CHECK(world.until([&] { return world.client->heard == told; }));
  } else {
    CHECK(draining.sweep(1'500) == told);
  }
  CHECK(draining.over());
}

TEST_CASE("drain: a transaction ends by itself, and its client is told with the next command") {
  World world(configuration);
  REQUIRE(converse(begin(world), {"EHLO client.example\r\n", "MAIL FROM:<a@example.net>\r\n"}));
  Draining draining(world, 0);
  CHECK(draining.silent(10'000));
  world.client->say("RCPT TO:<b@example.org>\r\n");
  CHECK(world.until([&] { return world.client->heard.starts_with("250"); }));
  world.client->heard.clear();
  world.client->say("RSET\r\n");
  CHECK(world.until([&] { return world.client->heard.starts_with("250"); }));
  world.client->heard.clear();
  world.client->say("NOOP\r\n");
  CHECK(world.until([&] { return world.client->heard == told; }));
  CHECK(draining.over());
}

TEST_CASE("drain: what runs when the time is over is cut, and counted so") {
  World world(configuration);
  REQUIRE(converse(begin(world), {"EHLO client.example\r\n", "MAIL FROM:<a@example.net>\r\n",
                                  "RCPT TO:<b@example.org>\r\n", "DATA\r\n", "Subject: x\r\n\r\nhalf of it"}));
  Draining draining(world);
  CHECK(draining.silent(19'900));
  CHECK(draining.sweep(20'000) == told);
  CHECK(draining.over());
  CHECK(world.sessions[0]->drained() == Drained::cut);
  CHECK(world.server.accepted == 0);
}

TEST_CASE("drain: told twice, what is sooner counts") {
  World world(configuration);
  REQUIRE(converse(begin(world), {"EHLO client.example\r\n", "MAIL FROM:<a@example.net>\r\n"}));
  Draining draining(world, 3'000, 20'000);
  const bool sooner = GENERATE(true, false);
  const std::uint64_t other = sooner ? 10'000 : 30'000;
  world.sessions[0]->on_drain({draining.begun + other, draining.begun + other});
  if (sooner) {
    CHECK(draining.sweep(10'500) == told);
  } else {
    CHECK(draining.silent(10'500));
    CHECK(draining.sweep(20'000) == told);
  }
}

TEST_CASE("drain: a session that was not told is no session that drained, unless all is stopped at once") {
  World world(configuration);
  REQUIRE(converse(begin(world), {"EHLO client.example\r\n"}));
  session::Session& session = *world.sessions[0];
  CHECK_FALSE(session.drained());
  std::optional<Drained> drained;
  world.around.retire = [&](session::Session& ended) {
    drained = ended.drained();
    world.retired.push_back(std::move(world.sessions.back()));
    world.sessions.pop_back();
  };
  session.abandon();
  CHECK(drained == Drained::cut);
}

}  // namespace session_drain_test
