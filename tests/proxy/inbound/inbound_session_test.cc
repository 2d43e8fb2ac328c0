#include "proxy/inbound/inbound_session.h"

#include "tests/proxy/session/session_rig.h"

namespace inbound_session_test {

using namespace postern;
using session_rig::converse;
using session_rig::World;

constexpr std::string_view listener =
    "{ listen: [\"127.0.0.1:2525\"], certificates: [mx], allow_open_relay_risk: true, backend: { address: \"SERVER\" } "
    "}";

void begin(World& world) {
  world.begin([&](net::StreamPtr socket) {
    const auto& backend = world.runtime->settings.inbound[0].backend;
    return std::make_unique<postern::inbound::InboundSession>(
        world.around, world.runtime, world.runtime->inbound.begin()->second,
        std::make_shared<postern::inbound::BackendPool>(backend.addresses), 1, std::move(socket));
  });
}

std::string configuration(const std::string& more = {}) {
  std::string text(listener);
  text.insert(1, more);
  return "hostname: gateway.example\ncertificates: { mx: [CERTIFICATE] }\ninbound: { mx: " + text + " }\n";
}

const std::vector<std::string> whole = {"EHLO client.example\r\n",
                                        "STARTTLS\r\n",
                                        "EHLO client.example\r\n",
                                        "MAIL FROM:<a@example.net>\r\n",
                                        "RCPT TO:<b@example.org>\r\n",
                                        "DATA\r\n",
                                        "Subject: x\r\n\r\nhalf of it",
                                        " and the rest\r\n.\r\n",
                                        "RSET\r\n",
                                        "QUIT\r\n"};

TEST_CASE("inbound session: a message goes through, in TLS, and all is freed") {
  World world(configuration(GENERATE("", "greeting: gateway, ")));
  begin(world);
  REQUIRE(converse(world, whole));
  CHECK(world.ends());
  CHECK(world.client->ended);
  CHECK(world.server.accepted == 1);
  CHECK(world.accepted() == 1);
  CHECK(world.books.sum("tls_handshakes_total") == 1);
}

TEST_CASE("inbound session: whoever goes away, wherever the server is silent, it ends") {
  for (const auto& departure : session_rig::departures()) {
    for (const char* silent_at : {"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ".", "RSET", "QUIT"}) {
      INFO(departure.name << ", server silent at " << silent_at);
      World world(configuration());
      world.server.silent_at = silent_at;
      begin(world);
      REQUIRE(converse(world, whole));
      REQUIRE(world.server.silent);
      departure.happen(world);
      CHECK(world.ends());
      CHECK(world.accepted() == static_cast<std::uint64_t>(world.server.accepted));
    }
  }
}

TEST_CASE("inbound session: whoever goes away, after whatever the client has said, it ends") {
  for (const auto& departure : session_rig::departures()) {
    for (std::size_t said = 0; said < whole.size(); ++said) {
      INFO(departure.name << ", after " << said << " words");
      World world(configuration());
      begin(world);
      REQUIRE(converse(world, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(said)}));
      departure.happen(world);
      CHECK(world.ends());
      CHECK(world.accepted() == static_cast<std::uint64_t>(world.server.accepted));
    }
  }
}

TEST_CASE("inbound session: what it could not use of a client that is gone waits for nobody") {
  const std::string words = GENERATE("GET / HTTP/1.1\r\n", "\x16\x03\x01\x02\x01", "QUIT\r\n");
  World world(configuration(GENERATE("", "greeting: gateway, ")));
  const auto buffered = std::make_shared<limits::Buffered>();
  world.scratch.waiting.share(buffered);
  for (int times = 0; times < 8; ++times) {
    begin(world);
    world.client->say(words + std::string(std::size_t{32} * 1024, 'x'));
    world.client->reset();
    CHECK(world.ends());
  }
  CHECK(buffered->octets() == 0);
}

TEST_CASE("inbound session: whoever goes away in the middle of the handshake, it ends") {
  for (const auto& departure : session_rig::departures()) {
    INFO(departure.name);
    tls::engine_pair::TestClient client;
    World world(configuration(GENERATE("", "mode: implicit, ")));
    begin(world);
    if (world.runtime->settings.inbound[0].mode == config::TlsMode::starttls) {
      REQUIRE(converse(world, {"EHLO client.example\r\n"}));
      world.client->say("STARTTLS\r\n");
      REQUIRE(world.until([&] { return world.client->heard.find("220 ") != std::string::npos; }));
    }
    world.client->deaf_to_tls = true;
    world.client->start_tls(client.engine());
    world.turn();
    departure.happen(world);
    CHECK(world.ends());
  }
}

TEST_CASE("inbound session: a server that cannot be reached, and one that is given up while it is dialled") {
  World world(configuration());
  SECTION("nobody listens") {
    { session_rig::Server gone = std::move(world.server); }
    world.server = session_rig::Server();
    begin(world);
    CHECK(world.ends());
    CHECK(world.client->heard.starts_with("421 4.3.2 "));
  }
  SECTION("the gateway stops before the connection is there") {
    begin(world);
    world.abandon();
    CHECK(world.ends());
  }
  SECTION("the client is gone before the connection is there") {
    begin(world);
    world.client->reset();
    CHECK(world.ends());
  }
}

}  // namespace inbound_session_test
