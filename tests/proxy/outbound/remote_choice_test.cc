#include "proxy/outbound/remote_choice.h"

#include <algorithm>
#include <tuple>

#include "tests/support/catch.h"
#include "tests/support/shown_certificates.h"

namespace remote_choice_test {

using namespace postern;
using namespace postern::session;
using config::TlsLevel;
using config::TlsVersion;
using policy::DomainFacts;
using policy::MailHost;
using smtp::PolicyAnswer;
using smtp::RemoteState;
using Action = PolicyAnswer::Action;
using Stage = RemoteState::Stage;

config::IpAddress ip(std::string_view text) {
  return *config::parse_ip_address(text);
}

MailHost mail_host(std::string name, std::string_view address) {
  MailHost host;
  host.name = std::move(name);
  host.tlsa_base = host.name;
  host.address_state = MailHost::Addresses::found;
  host.addresses = {ip(address)};
  return host;
}

DomainFacts facts(std::vector<MailHost> hosts) {
  DomainFacts facts;
  facts.route.domain = "example.org";
  facts.route.hosts = std::move(hosts);
  return facts;
}

DomainFacts enforced(std::string_view mx_pattern, std::vector<MailHost> hosts) {
  DomainFacts found = facts(std::move(hosts));
  found.mta_sts.policy =
      policy::MtaStsPolicy{policy::MtaStsMode::enforce, std::chrono::seconds(86400), {std::string(mx_pattern)}};
  return found;
}

// What a server shows whose certificate has that name, from an authority that is trusted.
policy::Evidence certificate(const std::string& name) {
  static test_support::TrustedWorld world;
  return {world.server(name), world.trust.get(), std::time(nullptr)};
}

struct Rig {
  config::OutboundListener listener;
  config::TlsSettings tls;
  RemoteState state;
  std::vector<config::IpAddress> own;  // addresses of this machine
  std::optional<policy::PolicyTable> table;
  std::optional<postern::outbound::RemoteChoice> choice;

  explicit Rig(TlsLevel level = TlsLevel::may,
               config::OutboundRoute route = config::OutboundRoute::original_destination) {
    listener.name = "internet";
    listener.level = level;
    listener.route = route;
  }

  postern::outbound::RemoteChoice& start() {
    const bool intercepted = listener.route == config::OutboundRoute::original_destination;
    const auto original =
        intercepted ? std::optional(net::SocketAddress{ip("192.0.2.1"), 25}) : std::optional<net::SocketAddress>();
    table.emplace(listener, tls);
    choice.emplace(listener, *table, original, std::string(),
                   [this](const config::IpAddress& address) { return std::ranges::count(own, address) > 0; });
    return *choice;
  }

  // The first connection of an intercepted session has come to `stage`, and the client's EHLO may be answered.
  postern::outbound::RemoteChoice& greeted(Stage stage, std::string_view name = {}) {
    start();
    REQUIRE(choice->begin(nullptr));
    REQUIRE(decide("", stage, name).action == Action::proceed);
    return *choice;
  }

  postern::outbound::Present present(Stage stage, std::string_view name) {
    state.stage = stage;
    postern::outbound::Present present{{state}};
    present.may_reconnect = true;
    present.version = TlsVersion::tls1_3;
    if (!name.empty()) present.evidence = certificate(std::string(name));
    return present;
  }

  PolicyAnswer decide(const std::string& domain, Stage stage, std::string_view name = {},
                      const DomainFacts* found = nullptr) {
    return choice->decide(domain, found, present(stage, name));
  }
};

TEST_CASE("remote choice: an intercepted connection goes where it was going, with TLS if that can be had") {
  Rig rig(TlsLevel::secure);
  postern::outbound::RemoteChoice& choice = rig.start();
  REQUIRE(choice.begin(nullptr));
  CHECK(choice.way().address == net::SocketAddress{ip("192.0.2.1"), 25});
  CHECK(choice.way().use_tls);
  CHECK_FALSE(choice.way().demand_tls);
  CHECK(rig.decide("", Stage::tls_not_offered).action == Action::proceed);
}

TEST_CASE("remote choice: a remote server that cannot be reached is no greeting for the client") {
  Rig rig;
  REQUIRE(rig.start().begin(nullptr));
  const auto answer = rig.decide("", Stage::connect_failed);
  CHECK(answer.action == Action::refuse);
  CHECK(answer.reply.starts_with("451 4.4.1 192.0.2.1: "));
}

TEST_CASE("remote choice: opportunistic TLS that fails is followed by a connection in plaintext") {
  Rig rig;
  REQUIRE(rig.start().begin(nullptr));
  CHECK(rig.decide("", Stage::tls_failed).action == Action::reconnect);
  CHECK_FALSE(rig.choice->way().use_tls);
  CHECK(rig.decide("", Stage::open).action == Action::proceed);
}

TEST_CASE("remote choice: a server that breaks off where TLS begins is one whose TLS fails") {
  Rig rig;
  REQUIRE(rig.start().begin(nullptr));
  auto present = rig.present(Stage::tls_broken, {});
  present.offered_post_quantum = true;  // which can have had no part in it
  CHECK(rig.choice->decide("", nullptr, present).action == Action::reconnect);
  CHECK_FALSE(rig.choice->way().use_tls);
  CHECK(rig.choice->way().tls_error == "the connection was lost while TLS began");

  Rig strict(TlsLevel::encrypt);
  strict.greeted(Stage::tls_not_offered);
  CHECK(strict.decide("example.org", Stage::tls_not_offered).action == Action::refuse);
  Rig broken(TlsLevel::encrypt);
  REQUIRE(broken.start().begin(nullptr));
  REQUIRE(broken.decide("", Stage::tls_broken).action == Action::reconnect);
  REQUIRE(broken.decide("", Stage::open).action == Action::proceed);
  REQUIRE(broken.decide("example.org", Stage::open).action == Action::reconnect);
  const auto answer = broken.decide("example.org", Stage::tls_broken);
  CHECK(answer.action == Action::refuse);
  CHECK(answer.reply.starts_with("451 4.7.5 192.0.2.1: "));
}

TEST_CASE("remote choice: a ClientHello with post-quantum groups is tried again without them, once") {
  Rig rig;
  REQUIRE(rig.start().begin(nullptr));
  auto present = rig.present(Stage::tls_failed, {});
  present.offered_post_quantum = true;
  CHECK(rig.choice->decide("", nullptr, present).action == Action::reconnect);
  CHECK(rig.choice->way().use_tls);
  CHECK_FALSE(rig.choice->way().handshake.post_quantum);
  CHECK(rig.choice->decide("", nullptr, present).action == Action::reconnect);
  CHECK_FALSE(rig.choice->way().use_tls);
}

TEST_CASE("remote choice: where our own certificate cannot be used, it is tried without, and never in plaintext") {
  Rig rig;
  REQUIRE(rig.start().begin(nullptr));
  auto present = rig.present(Stage::tls_failed, {});
  present.lacked_signature = true;
  present.error = "no signature: the signer does not answer";
  CHECK(rig.choice->way().handshake.certificate);
  CHECK(rig.choice->decide("", nullptr, present).action == Action::reconnect);
  CHECK(rig.choice->way().use_tls);
  CHECK_FALSE(rig.choice->way().handshake.certificate);
  SECTION("the server lets us in without") {
    CHECK(rig.decide("", Stage::open, "mx.example.org").action == Action::proceed);
  }
  SECTION("it does not, and it has trouble with something else, too") {
    present.offered_post_quantum = true;
    CHECK(rig.choice->decide("", nullptr, present).action == Action::reconnect);
    CHECK(rig.choice->way().use_tls);
    CHECK_FALSE(rig.choice->way().handshake.post_quantum);
    CHECK_FALSE(rig.choice->way().handshake.certificate);
    const auto answer = rig.choice->decide("", nullptr, present);
    CHECK(answer.action == Action::refuse);
    CHECK(answer.reply.starts_with("451 4.4.2 192.0.2.1: "));
    CHECK(answer.reply.find("no signature: the signer does not answer") != std::string::npos);
  }
}

TEST_CASE("remote choice: a recipient whose policy the present TLS session satisfies needs no other connection") {
  Rig rig(TlsLevel::verify);
  rig.greeted(Stage::open, "mx.example.org");
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  CHECK(rig.decide("example.org", Stage::open, "mx.example.org", &found).action == Action::proceed);
  REQUIRE(rig.choice->decision());
  CHECK(rig.choice->decision()->host == "mx.example.org");
  CHECK(rig.choice->decision()->verdict.reached == policy::Level::verify);
}

TEST_CASE("remote choice: one more connection, with the right name in SNI, then the refusal") {
  Rig rig(TlsLevel::verify);
  rig.greeted(Stage::open, "default.example.net");
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  CHECK(rig.decide("example.org", Stage::open, "default.example.net", &found).action == Action::reconnect);
  CHECK(rig.choice->way().server_name == "mx.example.org");
  CHECK(rig.choice->way().demand_tls);
  const auto answer = rig.decide("example.org", Stage::open, "default.example.net");
  CHECK(answer.action == Action::refuse);
  CHECK(answer.reply.starts_with("451 4.7.5 mx.example.org: "));
  // Asked again, on the connection that was made with all that could be wished for: no third one.
  CHECK(rig.decide("example.org", Stage::open, "default.example.net", &found).action == Action::refuse);
}

TEST_CASE("remote choice: a resumed session that shows too little is tried once more with a full handshake") {
  Rig rig(TlsLevel::verify);
  rig.greeted(Stage::open, "mx.example.org");
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  REQUIRE(rig.decide("example.org", Stage::open, "old.example.org", &found).action == Action::reconnect);
  auto present = rig.present(Stage::open, "old.example.org");
  present.resumed = true;
  REQUIRE(rig.choice->decide("example.org", nullptr, present).action == Action::reconnect);
  CHECK_FALSE(rig.choice->way().handshake.resume);
  CHECK(rig.decide("example.org", Stage::open, "mx.example.org").action == Action::proceed);
}

TEST_CASE("remote choice: TLS demanded and not offered is 4.7.4, and nothing is tried in plaintext") {
  Rig rig(TlsLevel::encrypt);
  rig.greeted(Stage::tls_not_offered);
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  CHECK(rig.decide("example.org", Stage::tls_not_offered, {}, &found).action == Action::reconnect);
  CHECK(rig.choice->way().demand_tls);
  CHECK(rig.decide("example.org", Stage::tls_not_offered).reply.starts_with("451 4.7.4 mx.example.org: "));
}

TEST_CASE("remote choice: another recipient's stricter policy is no reason to break off a transaction") {
  Rig rig;
  rig.listener.policies.push_back({});
  rig.listener.policies[0].match = {*config::parse_domain_pattern("bank.example")};
  rig.listener.policies[0].level = TlsLevel::verify;
  rig.greeted(Stage::open, "mx.example.org");
  const auto here = facts({mail_host("mx.example.org", "192.0.2.1")});
  CHECK(rig.decide("example.org", Stage::open, "mx.example.org", &here).action == Action::proceed);
  const auto bank = facts({mail_host("mx.bank.example", "192.0.2.1")});
  auto present = rig.present(Stage::open, "mx.example.org");
  present.may_reconnect = false;
  const auto answer = rig.choice->decide("bank.example", &bank, present);
  CHECK(answer.action == Action::refuse);
  CHECK(answer.reply.starts_with("451 4.7.5 mx.bank.example: "));
  CHECK(answer.refusal == smtp::Refusal::tls_failed);
}

TEST_CASE(
    "remote choice: a connection that was made for TLS alone, and has none, is not the one for those who may do "
    "without") {
  Rig rig;
  rig.listener.policies.push_back({});
  rig.listener.policies[0].match = {*config::parse_domain_pattern("bank.example")};
  rig.listener.policies[0].level = TlsLevel::encrypt;
  rig.greeted(Stage::tls_not_offered);
  const auto bank = facts({mail_host("mx.bank.example", "192.0.2.1")});
  REQUIRE(rig.decide("bank.example", Stage::tls_not_offered, {}, &bank).action == Action::reconnect);
  REQUIRE(rig.decide("bank.example", Stage::tls_not_offered).action == Action::refuse);
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  REQUIRE(rig.decide("example.org", Stage::tls_not_offered, {}, &found).action == Action::reconnect);
  CHECK_FALSE(rig.choice->way().demand_tls);
  CHECK(rig.decide("example.org", Stage::tls_not_offered).action == Action::proceed);
}

TEST_CASE(
    "remote choice: a client that has authenticated is told the policy's reason, since nobody can reconnect for it") {
  Rig rig(TlsLevel::verify);
  rig.greeted(Stage::open, "default.example.net");
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  auto present = rig.present(Stage::open, "default.example.net");
  present.may_reconnect = false;
  CHECK(rig.choice->decide("example.org", &found, present).reply.starts_with("451 4.7.5 mx.example.org: "));
}

TEST_CASE("remote choice: what the gateway cannot see in DNS still goes where the client sent it") {
  Rig rig;
  rig.greeted(Stage::open, "mail.corp.example");
  DomainFacts unknown;
  unknown.route.outcome = policy::Route::Outcome::no_such_domain;
  CHECK(rig.decide("corp.example", Stage::open, "mail.corp.example", &unknown).action == Action::proceed);
  DomainFacts failed;
  failed.route.domain = "corp.example";
  failed.route.outcome = policy::Route::Outcome::dns_failed;
  CHECK(rig.decide("corp.example", Stage::open, "mail.corp.example", &failed).reply.starts_with("451 4.4.3 "));
  DomainFacts null_mx;
  null_mx.route.outcome = policy::Route::Outcome::null_mx;
  CHECK(rig.decide("corp.example", Stage::open, "mail.corp.example", &null_mx).reply.starts_with("556 5.1.10 "));
}

TEST_CASE("remote choice: plaintext after a failed handshake is not good enough while the right name was never tried") {
  Rig rig;
  REQUIRE(rig.start().begin(nullptr));
  auto present = rig.present(Stage::tls_failed, {});
  present.error = "unrecognized name";
  REQUIRE(rig.choice->decide("", nullptr, present).action == Action::reconnect);
  REQUIRE(rig.decide("", Stage::open).action == Action::proceed);
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  CHECK(rig.decide("example.org", Stage::open, {}, &found).action == Action::reconnect);
  CHECK(rig.choice->way().use_tls);
  CHECK(rig.choice->way().server_name == "mx.example.org");
}

TEST_CASE("remote choice: a TLS session of a version that the domain's policy excludes is not good enough") {
  Rig rig;
  rig.listener.policies.push_back({});
  rig.listener.policies[0].match = {*config::parse_domain_pattern("example.org")};
  rig.listener.policies[0].min_version = TlsVersion::tls1_3;
  rig.greeted(Stage::open, "mx.example.org");
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  auto present = rig.present(Stage::open, "mx.example.org");
  present.version = TlsVersion::tls1_2;
  CHECK(rig.choice->decide("example.org", &found, present).action == Action::reconnect);
  CHECK(rig.choice->way().policy == std::optional<std::size_t>(0));
}

TEST_CASE("remote choice: versions are asked for where nobody can connect again, too") {
  Rig rig;
  rig.listener.policies.push_back({});
  rig.listener.policies[0].match = {*config::parse_domain_pattern("bank.example")};
  rig.listener.policies[0].min_version = TlsVersion::tls1_3;
  const auto decide = [&](TlsVersion version) {
    rig.greeted(Stage::open, "mx.example.org");
    const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
    auto present = rig.present(Stage::open, "mx.example.org");
    present.version = version;
    present.may_reconnect = false;
    return rig.choice->decide("bank.example", &found, present);
  };
  CHECK(decide(TlsVersion::tls1_3).action == Action::proceed);
  const auto answer = decide(TlsVersion::tls1_2);
  CHECK(answer.action == Action::refuse);
  CHECK(answer.reply.starts_with("452 4.5.3 "));
  CHECK(answer.refusal == smtp::Refusal::own_connection);
  REQUIRE(rig.choice->decision());
  CHECK(rig.choice->decision()->verdict.reason == policy::Reason::tls_parameters);
  rig.listener.enforcement = config::Enforcement::observe;
  CHECK(decide(TlsVersion::tls1_2).action == Action::proceed);
}

TEST_CASE("remote choice: a listener that uses no TLS has not tried it for those who want it") {
  Rig rig(TlsLevel::none);
  rig.listener.policies.push_back({});
  rig.listener.policies[0].match = {*config::parse_domain_pattern("example.org")};
  rig.listener.policies[0].level = TlsLevel::may;
  rig.start();
  REQUIRE(rig.choice->begin(nullptr));
  CHECK_FALSE(rig.choice->way().use_tls);
  REQUIRE(rig.decide("", Stage::open).action == Action::proceed);
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  REQUIRE(rig.decide("example.org", Stage::open, {}, &found).action == Action::reconnect);
  CHECK(rig.choice->way().use_tls);
  CHECK(rig.decide("example.org", Stage::open, "mx.example.org").action == Action::proceed);
  // And the other way round.
  REQUIRE(rig.decide("other.example", Stage::open, "mx.example.org").action == Action::reconnect);
  CHECK_FALSE(rig.choice->way().use_tls);
  CHECK(rig.decide("other.example", Stage::open).action == Action::proceed);
}

TEST_CASE("remote choice: a session that was resumed and failed is tried once more without that") {
  Rig rig(TlsLevel::verify, config::OutboundRoute::relay);
  rig.listener.relay.address = *config::parse_endpoint("192.0.2.9:587");
  REQUIRE(rig.start().begin(nullptr));
  auto present = rig.present(Stage::tls_failed, {});
  present.resumed = true;
  REQUIRE(rig.choice->decide("", nullptr, present).action == Action::reconnect);
  CHECK_FALSE(rig.choice->way().handshake.resume);
  CHECK(rig.choice->way().use_tls);
}

TEST_CASE("remote choice: a client's password goes where the listener's own demand is met") {
  for (const auto& [level, shown, vouched] :
       {std::tuple{TlsLevel::may, "other.example.net", true}, std::tuple{TlsLevel::encrypt, "other.example.net", true},
        std::tuple{TlsLevel::verify, "other.example.net", false},
        std::tuple{TlsLevel::verify, "smtp.example.com", true},
        std::tuple{TlsLevel::dane_only, "smtp.example.com", false}}) {
    Rig rig(level, config::OutboundRoute::relay);
    rig.listener.relay.address = *config::parse_endpoint("smtp.example.com:587");
    const auto found = facts({mail_host("smtp.example.com", "192.0.2.9")});
    rig.state.offers_auth = true;
    REQUIRE(rig.start().begin(&found));
    const auto answer = rig.decide("", Stage::open, shown);
    CHECK(answer.action == Action::proceed);
    CHECK(answer.vouched == vouched);
    // Nobody looks at certificates for a password that nobody can give.
    rig.state.offers_auth = false;
    REQUIRE(rig.start().begin(&found));
    CHECK_FALSE(rig.decide("", Stage::open, shown).vouched);
  }
  Rig plain;
  plain.state.offers_auth = true;
  plain.start();
  REQUIRE(plain.choice->begin(nullptr));
  CHECK_FALSE(plain.decide("", Stage::tls_not_offered).vouched);
}

TEST_CASE("remote choice: mail hosts that are this machine, and those behind them, are left out") {
  auto first = mail_host("mx1.example.org", "192.0.2.1");
  auto second = mail_host("mx2.example.org", "192.0.2.2");
  first.preference = 10;
  second.preference = 20;
  const auto found = facts({first, second});
  Rig rig(TlsLevel::may, config::OutboundRoute::mx);
  rig.own = {ip("192.0.2.2")};
  rig.start();
  REQUIRE(rig.decide("example.org", Stage::none, {}, &found).action == Action::reconnect);
  CHECK(rig.choice->way().host == "mx1.example.org");
  CHECK(rig.decide("example.org", Stage::connect_failed).reply.starts_with("451 4.4.1 mx1.example.org: "));
  rig.own = {ip("192.0.2.1")};
  rig.start();
  CHECK(rig.decide("example.org", Stage::none, {}, &found).reply ==
        "451 4.4.6 example.org: its mail host mx1.example.org is this machine");
  CHECK(rig.choice->decision()->verdict.reason == policy::Reason::routing_loop);
  rig.start();
  CHECK(rig.decide("[192.0.2.1]", Stage::none).reply.starts_with("451 4.4.6 "));
}

TEST_CASE("remote choice: a client that has waited long gets its answer, not another attempt") {
  Rig rig(TlsLevel::may, config::OutboundRoute::mx);
  rig.start();
  const auto found = facts({mail_host("mx1.example.org", "192.0.2.1"), mail_host("mx2.example.org", "192.0.2.2")});
  REQUIRE(rig.decide("example.org", Stage::none, {}, &found).action == Action::reconnect);
  CHECK(rig.choice->under_way());
  auto present = rig.present(Stage::connect_failed, {});
  present.late = true;
  CHECK(rig.choice->decide("example.org", nullptr, present).reply.starts_with("451 4.4.1 mx1.example.org: "));
  CHECK_FALSE(rig.choice->under_way());
  // Before any attempt, too, there is a reason.
  rig.start();
  CHECK(rig.choice->decide("example.org", &found, present).reply.starts_with("451 4.4.1 "));
  REQUIRE(rig.choice->decision());
  CHECK(rig.choice->decision()->verdict.reason == policy::Reason::unreachable);
}

TEST_CASE("remote choice: MX hosts are tried in turn, and the first that satisfies is taken") {
  Rig rig(TlsLevel::verify, config::OutboundRoute::mx);
  rig.start();
  const auto found = facts({mail_host("mx1.example.org", "192.0.2.1"), mail_host("mx2.example.org", "192.0.2.2")});
  REQUIRE(rig.decide("example.org", Stage::none, {}, &found).action == Action::reconnect);
  CHECK(rig.choice->way().host == "mx1.example.org");
  CHECK(rig.choice->way().demand_tls);
  REQUIRE(rig.decide("example.org", Stage::connect_failed).action == Action::reconnect);
  CHECK(rig.choice->way().address.address == ip("192.0.2.2"));
  CHECK(rig.decide("example.org", Stage::open, "mx2.example.org").action == Action::proceed);
  // The next message for the same hosts needs no other connection.
  CHECK(rig.decide("example.com", Stage::open, "mx2.example.org", &found).action == Action::proceed);
}

TEST_CASE("remote choice: an address literal is its own route, <postmaster> has none") {
  Rig rig(TlsLevel::may, config::OutboundRoute::mx);
  postern::outbound::RemoteChoice& choice = rig.start();
  CHECK_FALSE(choice.lookup_for("[192.0.2.7]"));
  REQUIRE(rig.decide("[192.0.2.7]", Stage::none).action == Action::reconnect);
  CHECK(choice.way().address == net::SocketAddress{ip("192.0.2.7"), 25});
  CHECK(rig.decide(".", Stage::none).reply.starts_with("550 5.1.2 "));
}

TEST_CASE("remote choice: DNS is asked for what could matter, and for nothing else") {
  Rig rig(TlsLevel::encrypt);
  rig.listener.dane = rig.listener.mta_sts = false;
  CHECK_FALSE(rig.start().lookup_for("example.org"));
  rig.listener.mta_sts = true;
  REQUIRE(rig.start().lookup_for("example.org"));
  CHECK(rig.choice->lookup_for("example.org")->mta_sts);
  CHECK_FALSE(rig.choice->lookup_for("example.org")->options.dane);
  rig.listener.level = TlsLevel::none;
  CHECK_FALSE(rig.start().lookup_for("example.org"));
}

TEST_CASE("remote choice: MTA-STS that does not list the host refuses, and says so") {
  Rig rig;
  rig.greeted(Stage::open, "mx.example.org");
  const auto found = enforced("other.example.org", {mail_host("mx.example.org", "192.0.2.1")});
  const auto answer = rig.decide("example.org", Stage::open, "mx.example.org", &found);
  CHECK(answer.reply.starts_with("451 4.7.5 mx.example.org: MTA-STS: "));
  REQUIRE(rig.choice->decision());
  CHECK(rig.choice->decision()->verdict.source == policy::Source::mta_sts);
  REQUIRE(rig.choice->decision()->policies.size() == 1);
  CHECK(rig.choice->decision()->policies[0].mx_hosts == std::vector<std::string>{"other.example.org"});
}

TEST_CASE("remote choice: observing delivers, and the decision tells what would have been refused") {
  Rig rig(TlsLevel::verify);
  rig.listener.enforcement = config::Enforcement::observe;
  rig.greeted(Stage::tls_not_offered);
  const auto found = facts({mail_host("mx.example.org", "192.0.2.1")});
  CHECK(rig.decide("example.org", Stage::tls_not_offered, {}, &found).action == Action::proceed);
  REQUIRE(rig.choice->decision());
  CHECK_FALSE(rig.choice->decision()->verdict.satisfied);
  CHECK(rig.choice->decision()->verdict.reason == policy::Reason::tls_not_offered);
}

TEST_CASE("remote choice: a relay that refuses our credentials makes the client wait, never bounce") {
  Rig rig(TlsLevel::may, config::OutboundRoute::relay);
  rig.listener.relay.address = *config::parse_endpoint("192.0.2.9:587");
  rig.listener.relay.auth.emplace();
  postern::outbound::RemoteChoice& choice = rig.start();
  REQUIRE(choice.begin(nullptr));
  CHECK(choice.way().address.port == 587);
  CHECK(choice.way().demand_tls);
  rig.state.reply = "535 5.7.8 wrong";
  CHECK(rig.decide("", Stage::auth_failed, "relay").reply ==
        "451 4.7.8 192.0.2.9: our credentials were refused: 535 5.7.8 wrong");
  CHECK(choice.decision()->verdict.reason == policy::Reason::credentials_refused);
}

TEST_CASE("remote choice: who cannot say now whether our credentials are good has not refused them") {
  for (const std::string_view reply : {"454 4.7.0 later", "421 4.3.2 bye"}) {
    Rig rig(TlsLevel::may, config::OutboundRoute::relay);
    rig.listener.relay.address = *config::parse_endpoint("192.0.2.9:587");
    rig.listener.relay.auth.emplace();
    postern::outbound::RemoteChoice& choice = rig.start();
    REQUIRE(choice.begin(nullptr));
    rig.state.reply = reply;
    CHECK(rig.decide("", Stage::auth_failed, "relay").reply ==
          "451 4.7.0 192.0.2.9: the server does not authenticate us now: " + std::string(reply));
    CHECK(choice.decision()->verdict.reason == policy::Reason::auth_deferred);
  }
}

TEST_CASE("remote choice: a server that was not asked is not quoted") {
  Rig rig(TlsLevel::may, config::OutboundRoute::relay);
  rig.listener.relay.address = *config::parse_endpoint("192.0.2.9:587");
  rig.listener.relay.auth.emplace();
  postern::outbound::RemoteChoice& choice = rig.start();
  REQUIRE(choice.begin(nullptr));
  rig.state.trouble = "the server does not offer AUTH";
  CHECK(rig.decide("", Stage::auth_failed, "relay").reply == "451 4.7.8 192.0.2.9: the server does not offer AUTH");
  CHECK(choice.decision()->verdict.reason == policy::Reason::auth_not_offered);
}

TEST_CASE("remote choice: with credentials for the relay no recipient's mail goes there without TLS") {
  Rig rig(TlsLevel::may, config::OutboundRoute::relay);
  rig.listener.relay.address = *config::parse_endpoint("192.0.2.9:587");
  rig.listener.relay.auth.emplace();
  rig.listener.policies.push_back({});
  rig.listener.policies[0].match = {*config::parse_domain_pattern("plain.example")};
  rig.listener.policies[0].level = TlsLevel::none;  // which `check` refuses
  REQUIRE(rig.start().begin(nullptr));
  REQUIRE(rig.decide("", Stage::open, "relay").action == Action::proceed);
  CHECK(rig.decide("plain.example", Stage::open, "relay").action == Action::proceed);
  CHECK(rig.decide("other.example", Stage::open, "relay").action == Action::proceed);
}

TEST_CASE("remote choice: where a relay's TLS comes first there is no plaintext to fall back to") {
  Rig rig(TlsLevel::may, config::OutboundRoute::relay);
  rig.listener.relay.address = *config::parse_endpoint("192.0.2.9:465");
  rig.listener.relay.mode = config::TlsMode::implicit;
  REQUIRE(rig.start().begin(nullptr));
  CHECK(rig.decide("", Stage::tls_failed).reply.starts_with("451 4.7.5 "));
}

TEST_CASE("remote choice: a relay's name that cannot be found is not the recipient's fault") {
  Rig rig(TlsLevel::may, config::OutboundRoute::relay);
  rig.listener.relay.address = *config::parse_endpoint("smtp.example.com:587");
  DomainFacts unknown;
  unknown.route.outcome = policy::Route::Outcome::no_such_domain;
  unknown.route.domain = "smtp.example.com";
  CHECK_FALSE(rig.start().begin(&unknown));
  CHECK(rig.choice->refusal().reply.starts_with("451 4.4.1 smtp.example.com: "));
}

}  // namespace remote_choice_test
