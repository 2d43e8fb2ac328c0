#include "tls/session_cache.h"

#include "tests/support/catch.h"
#include "tests/tls/engine_pair.h"
#include "tls/client_context.h"

namespace postern::tls::session_cache_test {

using namespace engine_pair;

const ClientContext::Target mx = {.server_name = "mx.example.org", .destination = "192.0.2.1:25"};

std::unique_ptr<ClientContext> make_client(config::TlsVersion version = config::TlsVersion::tls1_3) {
  auto client = ClientContext::make({.max_version = version, .keep_sessions = true});
  REQUIRE(client.has_value());
  return std::move(*client);
}

struct Meeting : Pair {
  Meeting(const ClientContext& client_context, const ServerContext& server_context,
          const ClientContext::Target& target = mx)
      : Pair(std::move(*client_context.connect(target)), std::move(*server_context.make_engine())) {}

  bool resumes() {
    greet();
    const bool resumed = client.engine->facts().resumed;
    CHECK(resumed == server.engine->facts().resumed);
    return resumed;
  }
};

bool resumes(const ClientContext& client, const ServerContext& server, const ClientContext::Target& target = mx) {
  return Meeting(client, server, target).resumes();
}

TEST_CASE("session_cache: the next session to the same server is resumed, and shows the same certificates") {
  const auto version = GENERATE(config::TlsVersion::tls1_2, config::TlsVersion::tls1_3);
  const auto client = make_client(version);
  const auto server = make_server();
  Meeting first(*client, *server);
  CHECK_FALSE(first.resumes());
  const auto shown = first.client.engine->peer_certificates();
  REQUIRE(shown.size() == 1);
  for (int i = 0; i < 20; ++i) {
    Meeting next(*client, *server);
    CHECK(next.resumes());
    const auto again = next.client.engine->peer_certificates();
    CHECK(again.size() == shown.size());
    CHECK(again.fingerprints() == shown.fingerprints());
  }
}

TEST_CASE("session_cache: another name or destination shares nothing") {
  const auto version = GENERATE(config::TlsVersion::tls1_2, config::TlsVersion::tls1_3);
  const auto client = make_client(version);
  const auto server = make_server();
  CHECK_FALSE(resumes(*client, *server));
  CHECK_FALSE(resumes(*client, *server, {.server_name = "mx2.example.org", .destination = mx.destination}));
  CHECK_FALSE(resumes(*client, *server, {.server_name = mx.server_name, .destination = "192.0.2.2:25"}));
  CHECK_FALSE(resumes(*client, *server, {.server_name = "", .destination = mx.destination}));
  CHECK_FALSE(resumes(*make_client(version), *server));
  CHECK_FALSE(resumes(*client, *server, {.server_name = mx.server_name, .destination = ""}));
  CHECK(resumes(*client, *server, {.server_name = "MX.example.org.", .destination = mx.destination}));
}

TEST_CASE("session_cache: a session of TLS 1.3 is offered once, one of TLS 1.2 until something better comes") {
  const auto server = make_server();
  // Connections that are open at the same time, before anybody sent a ticket.
  const auto resumed_at_once = [&server](const ClientContext& client) {
    REQUIRE_FALSE(resumes(client, *server));
    Meeting one(client, *server);
    Meeting two(client, *server);
    one.handshake();
    two.handshake();
    return int{one.client.engine->facts().resumed} + int{two.client.engine->facts().resumed};
  };
  CHECK(resumed_at_once(*make_client(config::TlsVersion::tls1_3)) == 1);
  CHECK(resumed_at_once(*make_client(config::TlsVersion::tls1_2)) == 2);
}

TEST_CASE("session_cache: many at once are resumed, once each has brought its ticket") {
  const auto client = make_client();
  const auto server = make_server();
  for (const bool again : {false, true}) {
    std::vector<std::unique_ptr<Meeting>> at_once;
    for (int i = 0; i < 50; ++i) {
      at_once.push_back(std::make_unique<Meeting>(*client, *server));
    }
    for (const auto& meeting : at_once) {
      CHECK(meeting->resumes() == again);
    }
  }
}

TEST_CASE("session_cache: nothing is offered where that is not wanted, and nothing kept once forgotten") {
  const auto client = make_client();
  const auto server = make_server();
  CHECK_FALSE(resumes(*client, *server));
  ClientContext::Target afresh = mx;
  afresh.resume = false;
  CHECK_FALSE(resumes(*client, *server, afresh));
  CHECK(resumes(*client, *server));
  client->forget_sessions(mx);
  CHECK_FALSE(resumes(*client, *server));
}

}  // namespace postern::tls::session_cache_test
