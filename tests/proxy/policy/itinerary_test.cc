#include "proxy/policy/itinerary.h"

#include "tests/support/catch.h"

namespace itinerary_test {

using namespace postern::policy;
using postern::config::IpAddress;
using postern::config::parse_ip_address;
using Kind = AttemptOutcome::Kind;
using Stage = TlsOutcome::Stage;

IpAddress ip(std::string_view text) {
  return *parse_ip_address(text);
}

MailHost host(std::string name, std::vector<std::string_view> addresses) {
  MailHost host;
  host.name = std::move(name);
  host.address_state = MailHost::Addresses::found;
  for (const auto address : addresses) host.addresses.push_back(ip(address));
  return host;
}

Route two_hosts() {
  Route route;
  route.domain = "example.org";
  route.hosts = {host("mx1.example.org", {"192.0.2.1", "192.0.2.2"}), host("mx2.example.org", {"192.0.2.3"})};
  return route;
}

LocalPolicy level(Level value) {
  LocalPolicy policy;
  policy.level = value;
  return policy;
}

Itinerary plan(Level value, std::optional<IpAddress> pinned = std::nullopt, const MtaStsFacts& mta_sts = {}) {
  return Itinerary(two_hosts(), "example.org", level(value), mta_sts, pinned);
}

AttemptOutcome outcome(Kind kind, std::string reply = {}) {
  AttemptOutcome result;
  result.kind = kind;
  result.reply = std::move(reply);
  if (kind == Kind::tls_failed) result.tls.stage = Stage::handshake_failed;
  return result;
}

AttemptOutcome open(Stage stage, std::vector<std::string> names = {}) {
  AttemptOutcome result = outcome(Kind::open);
  result.tls.stage = stage;
  result.tls.chain = names.empty() ? TlsOutcome::Chain::untrusted : TlsOutcome::Chain::trusted;
  result.tls.names = std::move(names);
  return result;
}

TEST_CASE("itinerary: hosts and their addresses are tried in order, and at last none is left") {
  auto itinerary = plan(Level::may);
  for (const auto* address : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
    REQUIRE(itinerary.current());
    CHECK(itinerary.current()->address == ip(address));
    CHECK_FALSE(itinerary.on_outcome(outcome(Kind::unreachable)));
  }
  CHECK_FALSE(itinerary.current());
  CHECK(itinerary.refusal().starts_with("451 4.4.1 "));
  CHECK(itinerary.refusal().find("mx2.example.org") != std::string::npos);
}

TEST_CASE("itinerary: a host that refuses to serve is passed over, and never for good") {
  for (const auto* words : {"421 4.3.2 too busy", "554 5.7.1 go away"}) {
    auto itinerary = plan(Level::may);
    for (int i = 0; i < 3; ++i) itinerary.on_outcome(outcome(Kind::refused, words));
    CHECK_FALSE(itinerary.current());
    CHECK(itinerary.refusal() == std::string("451 4.4.1 mx2.example.org: ") + words);
  }
}

TEST_CASE("itinerary: the client of an intercepted connection hears its server's own refusal") {
  const auto refusal = [](std::string domain) {
    Route route;
    route.hosts = {host("", {"192.0.2.1"})};
    Itinerary itinerary(route, std::move(domain), level(Level::may), {}, ip("192.0.2.1"));
    itinerary.on_outcome(outcome(Kind::refused, "554 5.7.1 go away"));
    return itinerary.refusal();
  };
  CHECK(refusal("") == "554 5.7.1 go away");
  // Of a recipient it says nothing.
  CHECK(refusal("example.org") == "451 4.4.1 192.0.2.1: 554 5.7.1 go away");
}

TEST_CASE("itinerary: of hosts with very many addresses some are tried, and the next hosts too") {
  Route route;
  for (const auto* name : {"mx1", "mx2", "mx3", "mx4"}) {
    MailHost many = host(name, {});
    for (int i = 0; i < 16; ++i) many.addresses.push_back(ip("192.0.2." + std::to_string(i + 1)));
    route.hosts.push_back(many);
  }
  Itinerary itinerary(route, "example.org", level(Level::encrypt), {});
  std::string tried;
  for (int attempts = 0; itinerary.current() && attempts < 100; ++attempts) {
    tried += itinerary.host().name.back();
    itinerary.on_outcome(outcome(Kind::unreachable));
  }
  CHECK(tried == "1111222233");
  CHECK(itinerary.refusal().starts_with("451 4.4.1 "));
}

TEST_CASE("itinerary: opportunistic TLS that fails is followed by plaintext, on a new connection to the same address") {
  auto itinerary = plan(Level::may);
  CHECK(itinerary.current()->use_tls);
  CHECK_FALSE(itinerary.current()->demand_tls);
  CHECK_FALSE(itinerary.on_outcome(outcome(Kind::tls_failed)));
  REQUIRE(itinerary.current());
  CHECK(itinerary.current()->address == ip("192.0.2.1"));
  CHECK_FALSE(itinerary.current()->use_tls);
  CHECK(itinerary.on_outcome(open(Stage::not_tried)));
}

TEST_CASE("itinerary: where TLS is demanded, plaintext is never tried and never accepted") {
  for (const Level demanded : {Level::encrypt, Level::verify, Level::secure}) {
    auto itinerary = plan(demanded);
    for (int attempts = 0; itinerary.current() && attempts < 10; ++attempts) {
      CHECK(itinerary.current()->use_tls);
      CHECK(itinerary.current()->demand_tls);
      CHECK_FALSE(itinerary.on_outcome(attempts % 2 == 0 ? outcome(Kind::tls_failed) : open(Stage::not_offered)));
    }
    CHECK_FALSE(itinerary.current());
    CHECK(itinerary.refusal().starts_with("451 4.7."));
  }
}

TEST_CASE("itinerary: a certificate that is not good enough sends us to the next host, not to the next address") {
  auto itinerary = plan(Level::verify);
  CHECK_FALSE(itinerary.on_outcome(open(Stage::established, {"other.example.org"})));
  REQUIRE(itinerary.current());
  CHECK(itinerary.host().name == "mx2.example.org");
  CHECK(itinerary.on_outcome(open(Stage::established, {"mx2.example.org"})));
  CHECK(itinerary.verdict().satisfied);
}

TEST_CASE("itinerary: what a policy refused is said rather than that another host could not be reached") {
  auto itinerary = plan(Level::verify);
  itinerary.on_outcome(open(Stage::established, {"other.example.org"}));
  itinerary.on_outcome(outcome(Kind::unreachable));
  CHECK_FALSE(itinerary.current());
  CHECK(itinerary.refusal().starts_with("451 4.7.5 "));
  CHECK(itinerary.refusal().find("mx1.example.org") != std::string::npos);
}

TEST_CASE("itinerary: a host whose TLSA records cannot be known is not used") {
  Route route = two_hosts();
  route.hosts[0].dane = DaneState::failed;
  Itinerary itinerary(route, "example.org", level(Level::may), {});
  REQUIRE(itinerary.current());
  CHECK(itinerary.host().name == "mx2.example.org");
  itinerary.on_outcome(outcome(Kind::unreachable));
  CHECK_FALSE(itinerary.current());
  CHECK(itinerary.refusal().starts_with("451 4.4.3 "));
}

TEST_CASE("itinerary: an intercepted connection goes to its own address alone") {
  auto itinerary = plan(Level::may, ip("192.0.2.3"));
  CHECK(itinerary.host().name == "mx2.example.org");
  CHECK(itinerary.current()->address == ip("192.0.2.3"));
  itinerary.on_outcome(outcome(Kind::unreachable));
  CHECK_FALSE(itinerary.current());

  auto elsewhere = plan(Level::may, ip("198.51.100.9"));
  REQUIRE(elsewhere.current());
  CHECK(elsewhere.host().name.empty());
  CHECK(elsewhere.current()->address == ip("198.51.100.9"));
}

TEST_CASE("itinerary: an address that no MX host has does not satisfy an MTA-STS policy") {
  const MtaStsFacts enforce{MtaStsPolicy{MtaStsMode::enforce, std::chrono::seconds(86400), {"*.example.org"}}, {}};
  auto itinerary = plan(Level::may, ip("198.51.100.9"), enforce);
  CHECK_FALSE(itinerary.current());
  CHECK(itinerary.refusal().starts_with("451 4.7.5 "));
}

TEST_CASE("itinerary: an address that none of a domain's hosts has, although DANE protects them, is not used") {
  Route route = two_hosts();
  route.hosts[0].dane = DaneState::records;
  Itinerary itinerary(route, "example.org", level(Level::may), {}, ip("198.51.100.9"));
  CHECK_FALSE(itinerary.current());
  CHECK(itinerary.refusal() == "451 4.7.5 example.org: DANE: the address is none of the domain's mail hosts");
  CHECK(itinerary.failure().verdict.source == Source::dane);

  LocalPolicy without_dane = level(Level::may);
  without_dane.dane = false;
  CHECK(Itinerary(route, "example.org", without_dane, {}, ip("198.51.100.9")).current());
}

TEST_CASE("itinerary: an address that may be that of a host whose addresses cannot be known waits") {
  Route route = two_hosts();
  route.hosts[1].address_state = MailHost::Addresses::bogus;
  route.hosts[1].addresses.clear();
  const Itinerary elsewhere(route, "example.org", level(Level::may), {}, ip("198.51.100.9"));
  CHECK_FALSE(elsewhere.current());
  CHECK(elsewhere.refusal().starts_with("451 4.4.3 "));
  CHECK(Itinerary(route, "example.org", level(Level::may), {}, ip("192.0.2.1")).current());
}

TEST_CASE("itinerary: a connection made for another domain is judged for this one's hosts and demands") {
  const auto itinerary = plan(Level::verify);
  CHECK(itinerary.would_accept(ip("192.0.2.2"), open(Stage::established, {"mx1.example.org"})));
  CHECK_FALSE(itinerary.would_accept(ip("192.0.2.2"), open(Stage::established, {"mx2.example.org"})));
  CHECK_FALSE(itinerary.would_accept(ip("192.0.2.9"), open(Stage::established, {"mx1.example.org"})));
}

TEST_CASE("itinerary: observing delivers what would have been refused") {
  LocalPolicy local = level(Level::secure);
  local.observe = true;
  Itinerary itinerary(two_hosts(), "example.org", local, {});
  CHECK_FALSE(itinerary.current()->demand_tls);
  CHECK(itinerary.on_outcome(open(Stage::not_offered)));
  CHECK_FALSE(itinerary.verdict().satisfied);
  CHECK(itinerary.verdict().deliver);
}

TEST_CASE("itinerary: observing, a session goes where it was going, whatever DNS says of the domain") {
  const auto pinned = [](Route::Outcome outcome, bool observe) {
    Route route;
    route.domain = "example.org";
    route.outcome = outcome;
    route.reason = "why";
    LocalPolicy local = level(Level::may);
    local.observe = observe;
    return Itinerary(route, "example.org", local, {}, ip("192.0.2.9"));
  };
  for (const auto outcome : {Route::Outcome::dns_bogus, Route::Outcome::dns_failed, Route::Outcome::null_mx}) {
    Itinerary observed = pinned(outcome, true);
    REQUIRE(observed.current());
    CHECK(observed.current()->address == ip("192.0.2.9"));
    CHECK(observed.on_outcome(open(Stage::established)));
    CHECK(observed.verdict().deliver);
    CHECK_FALSE(observed.verdict().satisfied);
    CHECK(observed.verdict().detail == "why");
  }
  Itinerary unknown_domain = pinned(Route::Outcome::no_such_domain, true);
  CHECK(unknown_domain.on_outcome(open(Stage::established)));
  CHECK(unknown_domain.verdict().satisfied);
}

}  // namespace itinerary_test
