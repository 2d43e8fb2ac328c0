#include "proxy/policy/policy_table.h"

#include "tests/support/catch.h"

namespace policy_table_test {

using namespace postern;
using namespace postern::policy;
using config::OutboundRoute;
using config::TlsVersion;

config::OutboundListener with_rows(Level own, std::vector<std::pair<std::string, std::optional<Level>>> rows) {
  config::OutboundListener listener;
  listener.level = own;
  for (const auto& [pattern, level] : rows) {
    auto& policy = listener.policies.emplace_back();
    policy.match = {*config::parse_domain_pattern(pattern)};
    policy.level = level;
  }
  return listener;
}

PolicyTable table_of(const config::OutboundListener& listener) {
  return {listener, config::TlsSettings{}};
}

TEST_CASE("policy_table: the first row that matches counts, and without one the listener's own") {
  const PolicyTable table = table_of(
      with_rows(Level::may, {{"a.example", Level::verify}, {".example", Level::secure}, {"b.example", Level::none}}));
  CHECK(table.row_for("A.Example").number == std::optional<std::size_t>(0));
  CHECK(table.row_for("b.example").local.level == Level::secure);
  CHECK_FALSE(table.row_for("example").number);
  CHECK(table.row_for("example").local.level == Level::may);
  CHECK(&table.row_for("") == &table.listener());
}

TEST_CASE("policy_table: a row that names no level has the listener's") {
  CHECK(table_of(with_rows(Level::encrypt, {{"*", std::nullopt}})).row_for("a.example").local.level == Level::encrypt);
}

TEST_CASE("policy_table: TLSA records count where the listener wants them or the level does, and never without TLS") {
  for (const config::LevelRow& level : config::levels()) {
    INFO(level.name);
    auto listener = with_rows(level.level, {});
    CHECK(table_of(listener).listener().local.wants_dane() == level.uses_tls);
    CHECK(table_of(listener).wants_mta_sts() == level.uses_tls);
    listener.dane = listener.mta_sts = false;
    CHECK(table_of(listener).listener().local.wants_dane() == level.wants_dane());
    CHECK_FALSE(table_of(listener).wants_mta_sts());
  }
}

TEST_CASE("policy_table: one row that honours MTA-STS is enough for policies to be kept fresh") {
  CHECK(table_of(with_rows(Level::none, {{"a.example", Level::may}})).wants_mta_sts());
}

TEST_CASE("policy_table: before any recipient is known nothing is demanded, whatever the level") {
  for (const config::LevelRow& level : config::levels()) {
    INFO(level.name);
    const LocalPolicy opening = table_of(with_rows(level.level, {})).opening().local;
    CHECK(opening.uses_tls() == level.uses_tls);
    CHECK_FALSE(row_of(opening.level).encrypts);
    CHECK_FALSE(opening.wants_dane());
    CHECK_FALSE(opening.wants_mta_sts());
  }
}

TEST_CASE("policy_table: where a relay's TLS comes first, or it gets credentials, every level encrypts") {
  for (const config::LevelRow& level : config::levels()) {
    for (const bool implicit : {true, false}) {
      INFO(level.name << ", implicit TLS " << implicit);
      auto listener = with_rows(Level::may, {{"*", level.level}});
      listener.route = OutboundRoute::relay;
      if (implicit) listener.relay.mode = config::TlsMode::implicit;
      if (!implicit) listener.relay.auth.emplace();
      const PolicyTable table = table_of(listener);
      CHECK(row_of(table.opening().local.level).encrypts);
      const LocalPolicy& local = table.row_for("a.example").local;
      CHECK(local.level == (level.encrypts ? level.level : Level::encrypt));
      listener.dane = false;
      CHECK(table_of(listener).row_for("a.example").local.wants_dane() == level.wants_dane());
    }
  }
}

TEST_CASE("policy_table: a TLS session suits a row whose versions and groups could have made it") {
  auto listener = with_rows(Level::may, {{"new.example", {}}, {"old.example", {}}, {"own.example", {}}});
  listener.policies[0].min_version = TlsVersion::tls1_3;
  listener.policies[1].min_version = TlsVersion::tls1_0;
  listener.policies[2].groups = {"P-256"};
  const PolicyTable table = table_of(listener);
  CHECK(table.row_for("new.example").could_have_made(TlsVersion::tls1_3));
  CHECK_FALSE(table.row_for("new.example").could_have_made(TlsVersion::tls1_2));
  CHECK(table.row_for("old.example").could_have_made(TlsVersion::tls1_0));
  CHECK_FALSE(table.row_for("own.example").could_have_made(TlsVersion::tls1_3));
  CHECK(table.listener().could_have_made(TlsVersion::tls1_2));
  CHECK_FALSE(table.listener().could_have_made(TlsVersion::tls1_1));
}

TEST_CASE("policy_table: fingerprints are octets by now, whatever the case of their digits") {
  auto listener = with_rows(Level::may, {{"*", Level::fingerprint}});
  listener.policies[0].fingerprints = {"00ff7F80"};
  CHECK(table_of(listener).row_for("a.example").local.fingerprints ==
        std::vector<std::string>{std::string("\x00\xff\x7f\x80", 4)});
}

TEST_CASE("policy_table: a relay that cannot be found is the operator's mistake, and never for good") {
  Route unknown;
  unknown.outcome = Route::Outcome::no_such_domain;
  auto listener = with_rows(Level::may, {});
  CHECK(table_of(listener).blocker_of(unknown)->reply == Reply::no_such_domain);
  listener.route = OutboundRoute::relay;
  CHECK(table_of(listener).blocker_of(unknown)->reply == Reply::unreachable);
  unknown.outcome = Route::Outcome::dns_failed;
  CHECK(table_of(listener).blocker_of(unknown)->reply == Reply::dns_failed);
}

}  // namespace policy_table_test
