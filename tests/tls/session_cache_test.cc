#include "tls/session_cache.h"

#include <atomic>
#include <thread>

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

TEST_CASE("session_cache: a handshake that fails with a session throws out all of that server") {
  const auto version = GENERATE(config::TlsVersion::tls1_2, config::TlsVersion::tls1_3);
  const auto client = make_client(version);
  const auto server = make_server();
  Meeting one(*client, *server);
  Meeting two(*client, *server);
  CHECK_FALSE(one.resumes());
  CHECK_FALSE(two.resumes());
  {
    Meeting failing(*client, *server);
    failing.client.start();
    SECTION("broken by the server") {
      failing.client.feed("500 what?\r\n");
      CHECK_FALSE(failing.client.error.empty());
    }
    SECTION("cut off") {}
  }
  CHECK_FALSE(resumes(*client, *server));
  CHECK(resumes(*client, *server));
}

TEST_CASE("session_cache: a server that has forgotten the session gets a full handshake, and is resumed after that") {
  const auto version = GENERATE(config::TlsVersion::tls1_2, config::TlsVersion::tls1_3);
  const auto client = make_client(version);
  CHECK_FALSE(resumes(*client, *make_server()));
  const auto other = make_server();
  CHECK_FALSE(resumes(*client, *other));
  CHECK(resumes(*client, *other));
}

TEST_CASE("session_cache: threads share it") {
  const auto client = make_client();
  const auto server = make_server();
  std::atomic<int> completed = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 50; ++i) {
        Pair pair(
            std::move(*client->connect({.server_name = mx.server_name, .destination = std::to_string(thread % 2)})),
            std::move(*server->make_engine()));
        pair.handshake();
        completed += pair.client.completed;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(completed == 200);
}

// --- the cache alone

using Session = bssl::UniquePtr<SSL_SESSION>;

Session new_session(const ServerContext& server, std::uint16_t version = TLS1_3_VERSION) {
  TestClient client(version);
  Pair(client, server).greet();
  REQUIRE(client.session != nullptr);
  return std::move(client.session);
}

struct Cache {
  explicit Cache(const SessionCache::Limits& limits = {}) : cache(limits, [this] { return now; }) {}
  Session put(const std::string& key, Session session) {
    SSL_SESSION_set_time(session.get(), static_cast<std::uint64_t>(now.time_since_epoch().count()));
    Session same = bssl::UpRef(session);
    cache.put(key, std::move(session));
    return same;
  }
  std::chrono::sys_seconds now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  SessionCache cache;
};

TEST_CASE("session_cache: the newest goes first, and only so many are kept") {
  Cache under_test({.sessions_per_key = 2});
  const auto server = make_server();
  under_test.put("a", new_session(*server));
  const Session second = under_test.put("a", new_session(*server));
  const Session third = under_test.put("a", new_session(*server));
  CHECK(under_test.cache.take("a") == third);
  CHECK(under_test.cache.take("a") == second);
  CHECK(under_test.cache.take("a") == nullptr);
  CHECK(under_test.cache.keys() == 0);
  CHECK(under_test.cache.octets() == 0);
}

TEST_CASE("session_cache: sessions die of age") {
  Cache under_test;
  const auto server = make_server();
  const Session session = under_test.put("a", new_session(*server, TLS1_2_VERSION));
  const std::chrono::seconds lifetime(SSL_SESSION_get_timeout(session.get()));
  CHECK(lifetime <= std::chrono::hours(48));
  under_test.now += lifetime - std::chrono::seconds(5);
  CHECK(under_test.cache.take("a") == session);
  under_test.now += std::chrono::seconds(10);
  CHECK(under_test.cache.take("a") == nullptr);
  CHECK(under_test.cache.keys() == 0);
}

TEST_CASE("session_cache: the servers asked longest ago go first, by number and by size") {
  const auto server = make_server();
  const auto kept_of = [&server](const SessionCache::Limits& limits) {
    Cache under_test(limits);
    for (const char* key : {"a", "b"}) {
      under_test.put(key, new_session(*server, TLS1_2_VERSION));
    }
    under_test.cache.take("a");
    under_test.put("c", new_session(*server, TLS1_2_VERSION));
    std::string kept;
    for (const char* key : {"a", "b", "c"}) {
      kept += under_test.cache.take(key) == nullptr ? "" : key;
    }
    CHECK(under_test.cache.keys() == kept.size());
    return kept;
  };
  CHECK(kept_of({}) == "abc");
  CHECK(kept_of({.keys = 2}) == "ac");
  CHECK(kept_of({.octets = 1}) == "c");
}

TEST_CASE("session_cache: new certificates push out the sessions that show the old ones") {
  Cache under_test;
  under_test.put("a", new_session(*make_server()));
  const auto renewed = make_server(server_options({load(make_certificate({.dns_names = {"mx.example.org"}}))}));
  const Session fresh = under_test.put("a", new_session(*renewed));
  CHECK(under_test.cache.take("a") == fresh);
  CHECK(under_test.cache.take("a") == nullptr);
}

TEST_CASE("session_cache: what is too large, or shows no certificate, is not kept") {
  const auto server = make_server();
  const auto is_kept = [](const SessionCache::Limits& limits, Session session) {
    Cache under_test(limits);
    under_test.put("a", std::move(session));
    return under_test.cache.take("a") != nullptr;
  };
  CHECK(is_kept({}, new_session(*server)));
  CHECK_FALSE(is_kept({.ticket = 10}, new_session(*server)));
  CHECK_FALSE(is_kept({.chain = 100}, new_session(*server)));

  const auto context = new_ssl_ctx();
  Session bare(SSL_SESSION_new(context.get()));
  const std::uint8_t ticket[] = {1, 2, 3};
  REQUIRE(SSL_SESSION_set_protocol_version(bare.get(), TLS1_2_VERSION) == 1);
  REQUIRE(SSL_SESSION_set_ticket(bare.get(), ticket, sizeof ticket) == 1);
  REQUIRE(SSL_SESSION_is_resumable(bare.get()) == 1);
  CHECK_FALSE(is_kept({}, std::move(bare)));
}

}  // namespace postern::tls::session_cache_test
