// `postern probe` against the same server as a session: both come to the same, with the same words.
#include <map>
#include <string>
#include <vector>

#include "proxy/outbound/outbound_session.h"
#include "proxy/probe/probe.h"
#include "tests/proxy/session/session_rig.h"
#include "tests/support/fake_resolver.h"

namespace probe_session_test {

using namespace postern;
using dns::Type;

// What the server does, or what DNS says of it.
struct Circumstance {
  const char* name;
  bool offers_starttls = true;
  std::map<std::string, std::string> instead = {};
  bool tlsa = false;  // signed records, which its certificate does not match
};

const std::vector<Circumstance> circumstances = {
    {"it has TLS"},
    {"it has none", false},
    {"it refuses STARTTLS", true, {{"STARTTLS", "454 4.7.0 not now\r\n"}}},
    {"it answers STARTTLS with what is no answer", true, {{"STARTTLS", "250 what?\r\n"}}},
    {"it closes at STARTTLS", true, {{"STARTTLS", ""}}},
    {"it breaks the handshake off", true, {{"HELLO", ""}}},
    {"it closes at EHLO", true, {{"EHLO", ""}}},
    {"it closes at EHLO in TLS", true, {{"TLS EHLO", ""}}},
    {"it refuses to serve", true, {{"CONNECT", "554 5.7.1 go away\r\n"}}},
    {"it closes at once", true, {{"CONNECT", ""}}},
    {"it speaks no SMTP", true, {{"CONNECT", "hello?\r\n"}}},
    {"its TLSA records are another's", true, {}, true},
};

std::string demand(const config::LevelRow& level) {
  const std::string own =
      level.proof == config::LevelRow::Proof::fingerprint ? ", fingerprints: [" + std::string(64, 'a') + "]" : "";
  return "policies: [ { match: [\"*\"], level: " + std::string(level.name) + own + " } ]";
}

struct World : session_rig::World {
  World(const Circumstance& circumstance, const std::string& policy)
      : session_rig::World(
            "hostname: gateway.example\noutbound: { out: { listen: [\"127.0.0.1:2525\"], mta_sts: false, "
            "route: relay, relay: { address: \"relay.example:PORT\" }, " +
            policy + " } }\n") {
    auto made = std::make_unique<testing::FakeResolver>();
    resolver = made.get();
    const bool secure = circumstance.tlsa;
    resolver->set({"relay.example", Type::a}, testing::exists(secure, {std::string("\x7f\0\0\1", 4)}));
    resolver->set({"relay.example", Type::aaaa}, testing::without_records(dns::Status::no_data, secure));
    const std::string tlsa = "_" + std::to_string(server.port()) + "._tcp.relay.example";
    resolver->set({tlsa, Type::tlsa}, testing::exists(true, {"\x03\x01\x01" + std::string(32, 'k')}));
    service = std::make_unique<outbound::OutboundService>(around, runtime, std::move(made));
    server.offers_starttls = circumstance.offers_starttls;
    server.instead = circumstance.instead;
    after_turn = [this] { resolver->deliver(); };
  }
  ~World() {
    after_turn = nullptr;
    service->stop();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // What a client hears that cannot be served, without CRLF; empty: its recipient was taken.
  std::string session() {
    begin([this](net::StreamPtr socket) {
      return std::make_unique<outbound::OutboundSession>(around, runtime, *service, runtime->outbound.begin()->second,
                                                         1, std::move(socket));
    });
    for (const char* word :
         {"", "EHLO client.example\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@example.org>\r\n"}) {
      client->say(word);
      std::string line;
      bool whole = false;
      const auto replied = [&] {
        while (!whole && !client->heard.empty() && !(line = client->line()).empty()) whole = line[3] == ' ';
        return whole;
      };
      REQUIRE(until(replied));
      if (line[0] == '2') continue;
      had_come_to_recipient = std::string_view(word).starts_with("RCPT");
      abandon();
      return line.substr(0, line.size() - 2);
    }
    abandon();
    return {};
  }
  probe::ProbeReport probed() {
    std::optional<probe::ProbeReport> found;
    const probe::Probe probe(around, *runtime, *service, runtime->outbound.begin()->second, {"example.org", {}},
                             [&](const probe::ProbeReport& report) { found = report; });
    REQUIRE(until([&] { return found.has_value(); }));
    return *found;
  }

  bool had_come_to_recipient = true;
  testing::FakeResolver* resolver = nullptr;  // the service's
  std::unique_ptr<outbound::OutboundService> service;
};

TEST_CASE("probe: it comes to what a session comes to, whatever the level and whatever the server does") {
  for (const auto& circumstance : circumstances) {
    for (const config::LevelRow& level : config::levels()) {
      INFO(circumstance.name << ", level " << level.name);
      World world(circumstance, demand(level));
      const std::string heard = world.session();
      const auto report = world.probed();
      REQUIRE(report.demands.size() == 1);
      if (world.had_come_to_recipient || !report.demands[0].blocker) {
        CHECK(report.reply == heard);
      } else {
        CHECK(report.reply.starts_with("451 4.7.5 relay.example: "));  // what the session would say of a recipient
      }
      CHECK(report.verdict.deliver == heard.empty());
      REQUIRE(report.addresses.size() == 1);
      CHECK(report.addresses[0].verdict.deliver == heard.empty());
    }
  }
}

}  // namespace probe_session_test
