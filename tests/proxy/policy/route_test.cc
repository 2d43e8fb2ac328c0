#include "proxy/policy/route.h"

#include <algorithm>
#include <set>

#include "tests/support/catch.h"
#include "tests/support/fake_resolver.h"

namespace route_test {

using namespace postern::policy;
using namespace postern::testing;
using postern::dns::Answer;
using postern::dns::Question;
using postern::dns::Status;
using postern::dns::Type;

const std::string v4("\xc0\0\x02\x01", 4);
const std::string v6("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
const std::string record_3_1_1 = "\x03\x01\x01" + std::string(32, 'k');

// A DNS in which example.org has one MX, mx.example.org; each test changes what it is about.
struct Zone {
  FakeResolver dns;
  std::set<Question> asked;

  explicit Zone(bool mx_secure = true, bool address_secure = true) {
    dns.set({"example.org", Type::mx}, exists(mx_secure, {mx_rdata(10, "mx.example.org")}));
    dns.set({"mx.example.org", Type::a}, exists(address_secure, {v4}));
    dns.set({"mx.example.org", Type::aaaa}, exists(address_secure, {v6}));
    dns.set({"_25._tcp.mx.example.org", Type::tlsa}, exists(true, {record_3_1_1}));
  }

  Route look_up(std::string_view domain = "example.org", const RouteLookup::Options& options = {}) {
    RouteLookup lookup(domain, options);
    while (!lookup.done())
      for (const Question& question : lookup.take_questions()) {
        CHECK(asked.insert(question).second);
        lookup.on_answer(question, dns.answer(question));
      }
    return lookup.take();
  }
  bool asked_for_tlsa() const {
    return std::any_of(asked.begin(), asked.end(),
                       [](const Question& question) { return question.type == Type::tlsa; });
  }
  void alias(bool secure, const std::string& target, bool alias_secure) {
    dns.set({"mx.example.org", Type::a}, exists(secure, {v4}, target));
    dns.set({"mx.example.org", Type::aaaa}, without_records(Status::no_data, secure, target));
    dns.set({"mx.example.org", Type::cname}, exists(alias_secure, {"x"}));
  }
};

const Status broken[] = {Status::failed, Status::bogus};

TEST_CASE("route: the MX lookup fails or is bogus: defer, and never take the domain for its own host") {
  for (const Status status : broken) {
    Zone zone;
    zone.dns.set({"example.org", Type::mx}, without_records(status, false));
    const Route route = zone.look_up();
    CHECK(route.outcome == (status == Status::bogus ? Route::Outcome::dns_bogus : Route::Outcome::dns_failed));
    CHECK(route.hosts.empty());
    CHECK_FALSE(route.reason.empty());
    CHECK(zone.asked.size() == 1);
  }
}

TEST_CASE("route: MX, addresses and TLSA all secure: DANE records for the host") {
  Zone zone;
  const Route route = zone.look_up("Example.ORG.");
  REQUIRE(route.hosts.size() == 1);
  const MailHost& host = route.hosts.front();
  CHECK(host.usable());
  CHECK(host.mx_secure);
  CHECK(host.dane == DaneState::records);
  REQUIRE(host.tlsa.size() == 1);
  CHECK(host.tlsa_base == "mx.example.org");
  CHECK(host.reference_names == std::vector<std::string>{"mx.example.org", "example.org"});
  REQUIRE(host.addresses.size() == 2);
  CHECK(to_string(host.addresses[0]) == "2001:db8::1");
  CHECK(route.ttl.count() == 300);
}

TEST_CASE("route: MX insecure, address secure: TLSA is still asked for, and the host says that its MX was unsigned") {
  Zone zone(false, true);
  const Route route = zone.look_up();
  CHECK(route.hosts.at(0).dane == DaneState::records);
  CHECK_FALSE(route.hosts.at(0).mx_secure);
}

TEST_CASE("route: no MX, proven or not: the domain is its own host, as secure as the proof") {
  for (const bool secure : {true, false}) {
    Zone zone;
    zone.dns.set({"example.org", Type::mx}, without_records(Status::no_data, secure));
    zone.dns.set({"example.org", Type::a}, exists(secure, {v4}));
    zone.dns.set({"example.org", Type::aaaa}, without_records(Status::no_data, secure));
    zone.dns.set({"_25._tcp.example.org", Type::tlsa}, exists(true, {record_3_1_1}));
    const Route route = zone.look_up();
    REQUIRE(route.hosts.size() == 1);
    CHECK(route.hosts[0].name == "example.org");
    CHECK(route.hosts[0].mx_secure == secure);
    CHECK(route.hosts[0].dane == (secure ? DaneState::records : DaneState::not_applicable));
  }
}

TEST_CASE("route: NXDOMAIN and null MX are permanent") {
  Zone zone;
  zone.dns.set({"example.org", Type::mx}, without_records(Status::no_such_name, true));
  CHECK(zone.look_up().outcome == Route::Outcome::no_such_domain);
  Zone null;
  null.dns.set({"example.org", Type::mx}, exists(true, {mx_rdata(0, "")}));
  CHECK(null.look_up().outcome == Route::Outcome::null_mx);
  CHECK(null.asked.size() == 1);
}

TEST_CASE("route: MX records that name no host defer, they are no null MX") {
  Zone zone;
  zone.dns.set({"example.org", Type::mx}, exists(true, {"\1"}));
  CHECK(zone.look_up().outcome == Route::Outcome::dns_failed);
}

TEST_CASE("route: a domain with neither MX nor address does not take mail") {
  Zone zone;
  for (const Type type : {Type::mx, Type::a, Type::aaaa})
    zone.dns.set({"example.org", type}, without_records(Status::no_data, false));
  CHECK(zone.look_up().outcome == Route::Outcome::no_such_domain);
}

TEST_CASE("route: MX secure, address insecure, no alias: TLSA is not asked for") {
  Zone zone(true, false);
  const Route route = zone.look_up();
  CHECK(route.hosts.at(0).usable());
  CHECK(route.hosts.at(0).dane == DaneState::not_applicable);
  CHECK_FALSE(zone.asked_for_tlsa());
}

TEST_CASE("route: MX secure, address insecure behind a secure alias: TLSA at the original name") {
  Zone zone;
  zone.alias(false, "host.unsigned.example", true);
  const Route route = zone.look_up();
  CHECK(route.hosts.at(0).dane == DaneState::records);
  CHECK(route.hosts.at(0).tlsa_base == "mx.example.org");
  CHECK_FALSE(zone.asked.contains({"_25._tcp.host.unsigned.example", Type::tlsa}));
}

TEST_CASE("route: MX secure, address insecure behind an insecure alias: no DANE") {
  Zone zone;
  zone.alias(false, "host.unsigned.example", false);
  CHECK(zone.look_up().hosts.at(0).dane == DaneState::not_applicable);
  CHECK_FALSE(zone.asked_for_tlsa());
}

TEST_CASE("route: the alias cannot be looked up: the host is unusable") {
  for (const Status status : broken) {
    Zone zone;
    zone.alias(false, "host.unsigned.example", true);
    zone.dns.set({"mx.example.org", Type::cname}, without_records(status, false));
    CHECK_FALSE(zone.look_up().hosts.at(0).usable());
  }
}

TEST_CASE("route: secure aliases: TLSA at the expanded name first") {
  Zone zone;
  zone.alias(true, "host.example.net", true);
  zone.dns.set({"_25._tcp.host.example.net", Type::tlsa}, exists(true, {record_3_1_1, record_3_1_1}));
  const Route route = zone.look_up();
  CHECK(route.hosts.at(0).tlsa.size() == 2);
  CHECK(route.hosts.at(0).tlsa_base == "host.example.net");
  CHECK(route.hosts.at(0).reference_names == std::vector<std::string>{"host.example.net", "example.org"});
  CHECK_FALSE(zone.asked.contains({"_25._tcp.mx.example.org", Type::tlsa}));
}

TEST_CASE("route: secure aliases, nothing or nothing signed at the expanded name: TLSA at the original name") {
  for (const Answer& nothing : {without_records(Status::no_data, true), without_records(Status::no_such_name, true),
                                exists(false, {record_3_1_1}), without_records(Status::no_data, false)}) {
    Zone zone;
    zone.alias(true, "host.example.net", true);
    zone.dns.set({"_25._tcp.host.example.net", Type::tlsa}, nothing);
    const Route route = zone.look_up();
    CHECK(route.hosts.at(0).dane == DaneState::records);
    CHECK(route.hosts.at(0).tlsa_base == "mx.example.org");
  }
}

TEST_CASE(
    "route: secure aliases, the expanded name's TLSA lookup fails: unusable, the original name is no way around") {
  for (const Status status : broken) {
    Zone zone;
    zone.alias(true, "host.example.net", true);
    zone.dns.set({"_25._tcp.host.example.net", Type::tlsa}, without_records(status, false));
    const Route route = zone.look_up();
    CHECK_FALSE(route.hosts.at(0).usable());
    CHECK_FALSE(zone.asked.contains({"_25._tcp.mx.example.org", Type::tlsa}));
  }
}

TEST_CASE("route: the address lookups fail or are bogus: this host is unusable, the others stand") {
  for (const Status status : broken) {
    Zone zone;
    zone.dns.set({"example.org", Type::mx},
                 exists(true, {mx_rdata(5, "bad.example.org"), mx_rdata(10, "mx.example.org")}));
    zone.dns.set({"bad.example.org", Type::a}, without_records(status, false));
    zone.dns.set({"bad.example.org", Type::aaaa}, without_records(Status::no_data, true));
    const Route route = zone.look_up();
    REQUIRE(route.hosts.size() == 2);
    CHECK_FALSE(route.hosts[0].usable());
    CHECK(route.hosts[0].address_state ==
          (status == Status::bogus ? MailHost::Addresses::bogus : MailHost::Addresses::failed));
    CHECK(route.hosts[1].usable());
    CHECK(route.hosts[1].dane == DaneState::records);
  }
}

TEST_CASE("route: one family secure is enough, the other may fail") {
  for (const Status status : broken)
    for (const Type type : {Type::a, Type::aaaa}) {
      Zone zone;
      zone.dns.set({"mx.example.org", type}, without_records(status, false));
      const Route route = zone.look_up();
      CHECK(route.hosts.at(0).usable());
      CHECK(route.hosts.at(0).addresses.size() == 1);
      CHECK(route.hosts.at(0).dane == DaneState::records);
    }
}

TEST_CASE("route: TLSA fails, times out or is bogus: this host is unusable") {
  for (const Status status : broken) {
    Zone zone;
    zone.dns.set({"_25._tcp.mx.example.org", Type::tlsa}, without_records(status, false));
    const Route route = zone.look_up();
    CHECK_FALSE(route.hosts.at(0).usable());
    CHECK(route.hosts.at(0).dane == (status == Status::bogus ? DaneState::bogus : DaneState::failed));
    CHECK_FALSE(route.hosts.at(0).reason.empty());
  }
}

TEST_CASE("route: TLSA is proven absent: no DANE") {
  for (const Status status : {Status::no_data, Status::no_such_name}) {
    Zone zone;
    zone.dns.set({"_25._tcp.mx.example.org", Type::tlsa}, without_records(status, true));
    CHECK(zone.look_up().hosts.at(0).dane == DaneState::absent);
  }
}

TEST_CASE("route: an insecure TLSA answer counts as none") {
  Zone zone;
  zone.dns.set({"_25._tcp.mx.example.org", Type::tlsa}, exists(false, {record_3_1_1}));
  const Route route = zone.look_up();
  CHECK(route.hosts.at(0).dane == DaneState::not_applicable);
  CHECK(route.hosts.at(0).tlsa.empty());
}

TEST_CASE("route: a TLSA record too short to read stays in the set as an unusable one") {
  Zone zone;
  zone.dns.set({"_25._tcp.mx.example.org", Type::tlsa}, exists(true, {"\x03"}));
  const Route route = zone.look_up();
  CHECK(route.hosts.at(0).dane == DaneState::records);
  REQUIRE(route.hosts.at(0).tlsa.size() == 1);
  CHECK(why_unusable(route.hosts.at(0).tlsa[0]));
}

TEST_CASE("route: without DANE no TLSA is asked for") {
  Zone zone;
  RouteLookup::Options options;
  options.dane = false;
  CHECK(zone.look_up("example.org", options).hosts.at(0).dane == DaneState::not_applicable);
  CHECK_FALSE(zone.asked_for_tlsa());
}

TEST_CASE("route: a host that the operator names counts as secure, and its port is in the TLSA name") {
  Zone zone;
  zone.dns.set({"_587._tcp.mx.example.org", Type::tlsa}, exists(true, {record_3_1_1}));
  RouteLookup::Options options;
  options.kind = RouteLookup::Kind::host;
  options.port = 587;
  const Route route = zone.look_up("mx.example.org", options);
  CHECK(route.hosts.at(0).mx_secure);
  CHECK(route.hosts.at(0).dane == DaneState::records);
  CHECK_FALSE(zone.asked.contains({"mx.example.org", Type::mx}));
}

TEST_CASE("route: a domain that is a secure alias adds its target to the reference names") {
  Zone zone;
  zone.dns.set({"alias.example", Type::mx}, exists(true, {mx_rdata(10, "mx.example.org")}, "example.org"));
  CHECK(zone.look_up("alias.example").hosts.at(0).reference_names ==
        std::vector<std::string>{"mx.example.org", "alias.example", "example.org"});
  zone.asked.clear();
  zone.dns.set({"alias.example", Type::mx}, exists(false, {mx_rdata(10, "mx.example.org")}, "example.org"));
  CHECK(zone.look_up("alias.example").hosts.at(0).reference_names ==
        std::vector<std::string>{"mx.example.org", "alias.example"});
}

TEST_CASE("route: hosts come by preference, equal ones in an order that chance decides, each once") {
  Zone zone;
  zone.dns.set({"example.org", Type::mx},
               exists(true, {mx_rdata(20, "d.example"), mx_rdata(10, "a.example"), mx_rdata(10, "b.example"),
                             mx_rdata(10, "c.example"), mx_rdata(30, "a.example"), mx_rdata(0, "")}));
  std::set<std::string> firsts;
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    zone.asked.clear();
    RouteLookup::Options options;
    options.random = seed;
    const Route route = zone.look_up("example.org", options);
    REQUIRE(route.hosts.size() == 4);
    CHECK(route.hosts[3].name == "d.example");
    firsts.insert(route.hosts[0].name);
  }
  CHECK(firsts == std::set<std::string>{"a.example", "b.example", "c.example"});
}

TEST_CASE("route: two hosts that are aliases of one share its TLSA question") {
  Zone zone;
  zone.dns.set({"example.org", Type::mx}, exists(true, {mx_rdata(1, "a.example"), mx_rdata(2, "b.example")}));
  for (const char* name : {"a.example", "b.example"}) {
    zone.dns.set({name, Type::a}, exists(true, {v4}, "host.example"));
    zone.dns.set({name, Type::aaaa}, without_records(Status::no_data, true, "host.example"));
  }
  zone.dns.set({"_25._tcp.host.example", Type::tlsa}, exists(true, {record_3_1_1}));
  RouteLookup lookup("example.org", {});
  // All questions of a round are asked before the first is answered.
  while (!lookup.done()) {
    const auto questions = lookup.take_questions();
    CHECK(std::set<Question>(questions.begin(), questions.end()).size() == questions.size());
    for (const Question& question : questions) lookup.on_answer(question, zone.dns.answer(question));
  }
  const Route route = lookup.take();
  for (const MailHost& host : route.hosts) CHECK(host.tlsa.size() == 1);
}

TEST_CASE("route: a hundred MX hosts are not all tried") {
  Zone zone;
  std::vector<std::string> records;
  for (unsigned i = 0; i < 100; ++i) records.push_back(mx_rdata(i, "h" + std::to_string(i) + ".example"));
  zone.dns.set({"example.org", Type::mx}, exists(false, records));
  const Route route = zone.look_up();
  CHECK(route.hosts.size() == 16);
  CHECK(route.hosts[0].name == "h0.example");
}

TEST_CASE("route: only a domain without MX is missing where it has no address") {
  const auto look_up = [](bool listed) {
    Zone zone;
    const auto mx = listed ? exists(true, {mx_rdata(10, "example.org")}) : without_records(Status::no_data, true);
    zone.dns.set({"example.org", Type::mx}, mx);
    zone.dns.set({"example.org", Type::a}, without_records(Status::no_data, true));
    zone.dns.set({"example.org", Type::aaaa}, without_records(Status::no_data, true));
    return zone.look_up();
  };
  CHECK(look_up(false).outcome == Route::Outcome::no_such_domain);
  const Route listed = look_up(true);
  CHECK(listed.outcome == Route::Outcome::hosts);
  CHECK(listed.hosts.at(0).address_state == MailHost::Addresses::none);
}

TEST_CASE("route: underscores are found in domains and in names of mail hosts") {
  Zone zone;
  zone.dns.set({"old_office.example", Type::mx}, exists(false, {mx_rdata(10, "mx_1.example")}));
  zone.dns.set({"mx_1.example", Type::a}, exists(false, {v4}));
  zone.dns.set({"mx_1.example", Type::aaaa}, without_records(Status::no_data, false));
  const Route route = zone.look_up("old_office.example");
  REQUIRE(route.hosts.size() == 1);
  CHECK(route.hosts[0].usable());
}

TEST_CASE("route: where nothing can be proven, TLSA records are not asked for, and DANE cannot be known") {
  Zone zone(false, false);
  RouteLookup lookup("example.org", {});
  lookup.nothing_is_proven("the server hands on no signatures");
  while (!lookup.done())
    for (const Question& question : lookup.take_questions()) lookup.on_answer(question, zone.dns.answer(question));
  const Route route = lookup.take();
  REQUIRE(route.hosts.size() == 1);
  CHECK(route.hosts[0].dane == DaneState::unknowable);
  CHECK(route.hosts[0].reason == "the server hands on no signatures");
  CHECK(route.hosts[0].usable());
  CHECK(leads_somewhere(route));
  RouteLookup::Options without;
  without.dane = false;
  CHECK(zone.look_up("example.org", without).hosts[0].dane == DaneState::not_applicable);
}

TEST_CASE("route: what was wrong with the proven answer stays with the hosts that are found without it") {
  Zone zone(false, false);
  const Route found = zone.look_up();
  Route doubted;
  doubted.outcome = Route::Outcome::dns_bogus;
  doubted.reason = "MX lookup: bogus";
  CHECK_FALSE(leads_somewhere(doubted));
  CHECK(is_bogus(doubted));
  CHECK(without_proof(found, doubted).hosts[0].dane == DaneState::bogus);
  CHECK(without_proof(found, doubted).hosts[0].reason == "MX lookup: bogus");
  doubted.outcome = Route::Outcome::dns_failed;
  CHECK(without_proof(found, doubted).hosts[0].dane == DaneState::failed);
  CHECK_FALSE(is_bogus(doubted));
  doubted.outcome = Route::Outcome::hosts;
  doubted.hosts = found.hosts;
  doubted.hosts[0].address_state = MailHost::Addresses::bogus;
  doubted.hosts[0].reason = "address lookup: bogus";
  CHECK(is_bogus(doubted));
  CHECK(without_proof(found, doubted).hosts[0].reason == "address lookup: bogus");
}

TEST_CASE("route: a lookup that failed says who was asked") {
  Zone zone;
  Answer answer = without_records(Status::failed, false);
  answer.reason = "no answer in time";
  answer.asked = "192.0.2.53:53 (/etc/resolv.conf)";
  zone.dns.set({"example.org", Type::mx}, answer);
  CHECK(zone.look_up().reason == "MX lookup: failed, no answer in time, asked: 192.0.2.53:53 (/etc/resolv.conf)");
}

TEST_CASE("route: the first host that is ours goes, and those that are no better with it") {
  const auto host = [](std::string name, std::uint16_t preference, const std::string& address) {
    MailHost made;
    made.name = std::move(name);
    made.preference = preference;
    made.addresses = {*postern::config::parse_ip_address(address)};
    return made;
  };
  const auto left = [&](const std::string& ours) {
    Route route;
    route.hosts = {host("a", 10, "192.0.2.1"), host("b", 20, "192.0.2.2"), host("c", 20, "192.0.2.3"),
                   host("d", 30, "192.0.2.4")};
    leave_out_ourselves(route, [&](const auto& address) { return to_string(address) == ours; });
    std::string names;
    for (const MailHost& each : route.hosts) names += each.name;
    return names + (route.outcome == Route::Outcome::leads_back ? " back" : "");
  };
  CHECK(left("192.0.2.9") == "abcd");
  CHECK(left("192.0.2.4") == "abc");
  CHECK(left("192.0.2.3") == "a");
  CHECK(left("192.0.2.1") == " back");
}

TEST_CASE("route: a host without a name that is ours is called by its address") {
  Route route;
  route.hosts.emplace_back().addresses = {*postern::config::parse_ip_address("192.0.2.1")};
  leave_out_ourselves(route, [](const auto&) { return true; });
  CHECK(route.reason == "its mail host 192.0.2.1 is this machine");
}

TEST_CASE("route: what is no host name is no domain") {
  for (const char* name : {"", "a..b", "a b", "[192.0.2.1]"}) {
    RouteLookup lookup(name, {});
    CHECK(lookup.done());
    CHECK(lookup.take().outcome == Route::Outcome::no_such_domain);
  }
}

}  // namespace route_test
