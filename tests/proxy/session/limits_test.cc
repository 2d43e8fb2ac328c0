// What a session does where a limit is reached, over sockets on loopback.
#include "proxy/inbound/inbound_session.h"

#include "tests/proxy/session/session_rig.h"

namespace limits_test {

using namespace postern;
using session_rig::converse;
using session_rig::World;

// `more`: of the listener.
World& begin(World& world) {
  world.begin([&](net::StreamPtr socket) {
    const auto& backend = world.runtime->settings.inbound[0].backend;
    return std::make_unique<postern::inbound::InboundSession>(
        world.around, world.runtime, world.runtime->inbound.begin()->second,
        std::make_shared<postern::inbound::BackendPool>(backend.addresses), 1, std::move(socket));
  });
  return world;
}

std::string configuration(const std::string& more, const std::string& limits = "exempt: []") {
  return "hostname: gateway.example\ncertificates: { mx: [CERTIFICATE] }\ninbound: { mx: { listen: "
         "[\"127.0.0.1:2525\"], "
         "certificates: [mx], allow_open_relay_risk: true, backend: { address: \"SERVER\" }, " +
         more + "limits: { " + limits + " } } }\n";
}

// What the client hears, up to the end.
std::string heard(World& world) {
  CHECK(world.until([&] { return world.client->ended; }));
  return world.client->heard;
}

TEST_CASE("limits: a session too many hears 421 and is over, and the next one after a place is free begins") {
  World world(configuration("", "sessions: 1"));
  limits::Seat seat;
  REQUIRE(seat.take(world.runtime->inbound.begin()->second.tally, 1));
  begin(world);
  CHECK(world.sessions.empty());
  CHECK(heard(world) == "421 4.7.0 Too many sessions, try again later\r\n");
  CHECK(world.books.sum("limit_hits_total", {"sessions"}) == 1);
  CHECK(world.books.sum("rejections_total", {"too_many_sessions"}) == 1);
  CHECK(world.books.sum("session_ends_total", {"limit"}) == 1);
  CHECK(world.books.sum("plaintext_sessions_total") == 0);
  CHECK(world.books.sum("sessions_active") == 0);
  CHECK(world.server.connections.empty());
  seat.give_back(0);
  begin(world);
  CHECK(converse(world, {"EHLO client.example\r\n", "QUIT\r\n"}));
  CHECK(world.ends());
  CHECK(world.runtime->inbound.begin()->second.tally.sessions() == 0);
}

TEST_CASE("limits: connections of a client, unless it is exempt") {
  const bool exempt = GENERATE(false, true);
  World world(configuration(
      "", std::string("connections_per_client_per_minute: 2, exempt: [") + (exempt ? "127.0.0.0/8" : "") + "]"));
  for (int i = 0; i < 2; ++i) {
    begin(world);
    CHECK(converse(world, {"QUIT\r\n"}));
    CHECK(world.ends());
  }
  begin(world);
  if (exempt) {
    CHECK(converse(world, {"QUIT\r\n"}));
  } else {
    CHECK(heard(world) == "421 4.7.0 Too many connections from your address, try again later\r\n");
    CHECK(world.books.sum("limit_hits_total", {"connections_per_client_per_minute"}) == 1);
  }
}

TEST_CASE("limits: handshakes of a client: STARTTLS is answered 454, and the session goes on") {
  World world(configuration("", "handshakes_per_client_per_minute: 1, exempt: []"));
  begin(world);
  REQUIRE(converse(world, {"EHLO client.example\r\n", "STARTTLS\r\n", "EHLO client.example\r\n", "QUIT\r\n"}));
  CHECK(world.ends());
  begin(world);
  REQUIRE(converse(world, {"EHLO client.example\r\n"}));
  world.client->heard.clear();
  world.client->say("STARTTLS\r\n");
  REQUIRE(world.until([&] { return !world.client->heard.empty(); }));
  CHECK(world.client->line() == "454 4.7.0 Too many TLS handshakes from your address, try again later\r\n");
  CHECK(converse(world, {}) == false);  // nothing more is said unasked
  world.client->say("QUIT\r\n");
  CHECK(world.ends());
  CHECK(world.books.sum("limit_hits_total", {"handshakes_per_client_per_minute"}) == 1);
  CHECK(world.books.sum("tls_handshakes_total") == 1);
}

TEST_CASE("limits: where TLS comes first, a handshake too many never begins, and nothing is said") {
  World world(configuration("mode: implicit, ", "handshakes_per_client_per_minute: 1, exempt: []"));
  limits::Seat seat;
  const auto& listener = world.runtime->inbound.begin()->second;
  const auto bounds = limits::client_bounds(listener.settings.limits);
  const std::uint64_t now = world.loop.now() * 1000;
  REQUIRE(seat.take(listener.tally, 0));
  REQUIRE_FALSE(seat.take_for_client(*config::parse_ip_address("127.0.0.1"), bounds, now));
  REQUIRE(seat.may_begin_handshake(bounds, now));
  begin(world);
  CHECK(world.sessions.empty());
  CHECK(heard(world).empty());
  CHECK(world.server.connections.empty());
  CHECK(world.books.sum("limit_hits_total", {"handshakes_per_client_per_minute"}) == 1);
  CHECK(world.books.sum("tls_handshake_failures_total") == 0);
  seat.give_back(now);
}

TEST_CASE("limits: behind a balancer it is the client of the header that counts, whoever is exempt") {
  World world(
      configuration("accept_proxy_protocol_from: [127.0.0.1/32], ", "sessions_per_client: 1, exempt: [127.0.0.0/8]"));
  limits::Seat seat;
  const auto& listener = world.runtime->inbound.begin()->second;
  REQUIRE(seat.take(listener.tally, 0));
  REQUIRE_FALSE(
      seat.take_for_client(*config::parse_ip_address("192.0.2.7"), limits::client_bounds(listener.settings.limits), 1));
  begin(world);
  world.client->say("PROXY TCP4 192.0.2.7 192.0.2.1 4321 25\r\nEHLO early\r\n");
  CHECK(heard(world) == "421 4.7.0 Too many sessions from your address, try again later\r\n");
  begin(world);
  world.client->say("PROXY TCP4 192.0.2.8 192.0.2.1 4321 25\r\n");
  CHECK(converse(world, {"QUIT\r\n"}));
  seat.give_back(1);
}

TEST_CASE("limits: a balancer that looks whether we are there is nobody's client") {
  World world(configuration("accept_proxy_protocol_from: [127.0.0.1/32], ",
                            "connections_per_client_per_minute: 1, sessions_per_client: 1, exempt: []"));
  for (int i = 0; i < 3; ++i) {
    begin(world);
    world.client->say(i == 1 ? std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16) : "PROXY UNKNOWN\r\n");
    CHECK(converse(world, {"QUIT\r\n"}));
    CHECK(world.ends());
  }
  CHECK(world.books.sum("limit_hits_total") == 0);
}

TEST_CASE("limits: while too much waits for peers that do not read, nobody new is let in") {
  World world("buffer_limit: 1MiB\n" + configuration(""));
  limits::BufferAccount elsewhere;
  elsewhere.share(world.runtime->tallies->buffered());
  elsewhere.add(2 << 20);
  begin(world);
  CHECK(heard(world) == "421 4.3.2 Too much mail is under way, try again later\r\n");
  CHECK(world.books.sum("limit_hits_total", {"buffer_limit"}) == 1);
  elsewhere.take(2 << 20);
  begin(world);
  CHECK(converse(world, {"QUIT\r\n"}));
}

}  // namespace limits_test
