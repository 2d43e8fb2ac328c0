#include "proxy/outbound/outbound_session.h"

#include "tests/proxy/session/session_rig.h"
#include "tests/support/fake_resolver.h"

namespace outbound_session_test {

using namespace postern;
using dns::Type;
using session_rig::converse;
using testing::FakeResolver;

// With an outbound service whose resolver is the test's: it answers when `answers`.
struct World : session_rig::World {
  explicit World(const std::string& listener)
      : session_rig::World("hostname: gateway.example\noutbound: { out: { listen: [\"127.0.0.1:2525\"], " + listener +
                           " } }\n") {
    auto made = std::make_unique<FakeResolver>();
    resolver = made.get();
    service = std::make_unique<postern::outbound::OutboundService>(around, runtime, std::move(made));
    server.offers_starttls = true;
    after_turn = [this] {
      if (answers) resolver->deliver();
    };
    begin([this](net::StreamPtr socket) {
      return std::make_unique<postern::outbound::OutboundSession>(
          around, runtime, *service, runtime->outbound.begin()->second, 1, std::move(socket));
    });
  }
  ~World() {
    abandon();
    after_turn = nullptr;
    turn();
    service->stop();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  FakeResolver* resolver = nullptr;  // the service's
  bool answers = true;
  std::unique_ptr<postern::outbound::OutboundService> service;
};

const std::string to_relay = "route: relay, dane: false, mta_sts: false, relay: { address: \"SERVER\" }, ";
const std::string by_mx = "route: mx";

const std::vector<std::string> whole = {"EHLO client.example\r\n",
                                        "MAIL FROM:<a@legacy.example>\r\n",
                                        "RCPT TO:<b@example.org>\r\n",
                                        "DATA\r\n",
                                        "Subject: x\r\n\r\nhalf of it",
                                        " and the rest\r\n.\r\n",
                                        "QUIT\r\n"};

TEST_CASE("outbound session: a message goes to a relay, in TLS, and all is freed") {
  World world(to_relay + GENERATE("level: encrypt", "level: may", "level: none"));
  REQUIRE(converse(world, whole));
  CHECK(world.ends());
  CHECK(world.client->ended);
  CHECK(world.server.accepted == 1);
  CHECK(world.accepted() == 1);
  const bool secure = world.runtime->settings.outbound[0].level != config::TlsLevel::none;
  CHECK(world.server.present().in_tls() == secure);
}

TEST_CASE("outbound session: a session of TLS 1.0 is none for a domain that demands more") {
  World world(to_relay +
              "level: encrypt, policies: [{ match: [old.example], min_version: TLSv1.0 }, "
              "{ match: [new.example], min_version: TLSv1.2 }]");
  world.server.speaks_tls1_0 = true;
  REQUIRE(converse(world, {"EHLO client.example\r\n", "MAIL FROM:<a@legacy.example>\r\n", "RCPT TO:<b@old.example>\r\n",
                           "RCPT TO:<c@new.example>\r\n", "DATA\r\n", "x\r\n.\r\n"}));
  CHECK(world.accepted() == 1);
  CHECK(world.books.sum("tls_handshakes_total", {"server", "TLSv1"}) > 0);
  CHECK(world.books.sum("rejections_total", {"own_connection"}) == 1);
}

TEST_CASE("outbound session: whoever goes away, wherever the remote server is silent, it ends") {
  for (const auto& departure : session_rig::departures()) {
    for (const char* silent_at : {"CONNECT", "EHLO", "STARTTLS", "HELLO", "TLS EHLO", "TLS MAIL", "TLS RCPT",
                                  "TLS DATA", "TLS .", "TLS QUIT"}) {
      INFO(departure.name << ", server silent at " << silent_at);
      World world(to_relay + "level: encrypt");
      world.server.silent_at = silent_at;
      REQUIRE(converse(world, whole));
      REQUIRE(world.server.silent);
      departure.happen(world);
      CHECK(world.ends());
      CHECK(world.accepted() == static_cast<std::uint64_t>(world.server.accepted));
    }
  }
}

TEST_CASE("outbound session: whoever goes away, after whatever the client has said, it ends") {
  for (const auto& departure : session_rig::departures()) {
    for (std::size_t said = 0; said < whole.size(); ++said) {
      INFO(departure.name << ", after " << said << " words");
      World world(to_relay + "level: may");
      REQUIRE(converse(world, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(said)}));
      departure.happen(world);
      CHECK(world.ends());
      CHECK(world.accepted() == static_cast<std::uint64_t>(world.server.accepted));
    }
  }
}

TEST_CASE("outbound session: who goes away while DNS is asked is not waited for, and the answer finds nobody") {
  for (const auto& departure : session_rig::departures()) {
    INFO(departure.name);
    World world(by_mx);
    world.answers = false;
    REQUIRE(converse(world, {"EHLO client.example\r\n", "MAIL FROM:<a@legacy.example>\r\n"}));
    world.client->say("RCPT TO:<b@example.org>\r\n");
    REQUIRE(world.until([&] { return !world.resolver->asked.empty(); }));
    departure.happen(world);
    const std::string_view who = departure.name;
    if (who.starts_with("the client") || who == "both are gone" || who == "the gateway stops") CHECK(world.ends());
    world.answers = true;
    CHECK(world.ends());
  }
}

TEST_CASE("outbound session: by MX, what DNS says of a domain becomes the reply to its recipient") {
  World world(by_mx);
  const dns::Question mx{"example.org", Type::mx};
  std::string expected;
  SECTION("no such domain") {
    world.resolver->set(mx, testing::without_records(dns::Status::no_such_name, false));
    expected = "550 5.1.2 ";
  }
  SECTION("it takes no mail") {
    world.resolver->set(mx, testing::exists(false, {testing::mx_rdata(0, ".")}));
    expected = "556 5.1.10 ";
  }
  SECTION("DNS has failed") {
    expected = "451 4.4.3 ";
  }
  SECTION("its mail host is this machine") {
    world.resolver->set(mx, testing::exists(false, {testing::mx_rdata(10, "mx.example.org")}));
    world.resolver->set({"mx.example.org", Type::a}, testing::exists(false, {std::string("\x7f\0\0\1", 4)}));
    world.resolver->set({"mx.example.org", Type::aaaa}, testing::without_records(dns::Status::no_data, false));
    expected = "451 4.4.6 ";
  }
  REQUIRE(converse(world, {"EHLO client.example\r\n", "MAIL FROM:<a@legacy.example>\r\n"}));
  world.client->say("RCPT TO:<b@example.org>\r\n");
  REQUIRE(world.until([&] { return world.client->heard.find("\r\n") != std::string::npos; }));
  CHECK(world.client->heard.substr(0, expected.size()) == expected);
  REQUIRE(converse(world, {}));
  world.client->say("QUIT\r\n");
  CHECK(world.ends());
  CHECK(world.server.connections.empty());
}

TEST_CASE("outbound session: a stranger is turned away") {
  World world(by_mx + ", allow_clients: [192.0.2.0/24]");
  // At once, whatever the client does: its place is another's.
  CHECK(world.sessions.empty());
  CHECK(world.runtime->outbound.begin()->second.tally.sessions() == 0);
  CHECK(world.until([&] { return world.client->ended; }));
  CHECK(world.client->heard.starts_with("554 5.7.1 "));
}

}  // namespace outbound_session_test
