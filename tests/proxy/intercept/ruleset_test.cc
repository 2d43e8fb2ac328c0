#include "proxy/intercept/ruleset.h"

#include <string>

#include "proxy/intercept/kernel_rules.h"
#include "tests/support/catch.h"

namespace ruleset_test {

using namespace postern;
using namespace postern::intercept;
using config::Interception;

Plan plan(Interception by, bool host, bool router) {
  Plan plan;
  plan.config = "/etc/postern/postern.yaml";
  plan.names = {"postern_00000001", 0x50530001};
  plan.ports = {25};
  intercept::Catch one;
  one.listener = "internet";
  one.by = by;
  one.host = host;
  one.router = router;
  one.v4 = *config::parse_endpoint("0.0.0.0:10025");
  one.v6 = *config::parse_endpoint("[::]:10025");
  if (router) one.from = {*config::parse_network("10.0.0.0/8"), *config::parse_network("2001:db8::/32")};
  plan.catches = {one};
  if (host) plan.own.marks = {0x2525};
  return plan;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("ruleset: it replaces the table in one transaction, and touches no other") {
  const std::string rules = rules_of(plan(Interception::redirect, true, true));
  CHECK(
      has(rules, "\ntable inet postern_00000001\ndelete table inet postern_00000001\ntable inet postern_00000001 {\n"));
  CHECK_FALSE(has(rules, "flush"));
  CHECK(rules_without(plan(Interception::redirect, true, false).names) ==
        "table inet postern_00000001\ndelete table inet postern_00000001\n");
}

TEST_CASE("ruleset: redirect on a router") {
  const std::string rules = rules_of(plan(Interception::redirect, false, true));
  CHECK(has(rules, "type nat hook prerouting priority dstnat;\n"));
  CHECK(has(rules, "        ip saddr 10.0.0.0/8 tcp dport 25 redirect to :10025\n"));
  CHECK(has(rules, "        ip6 saddr 2001:db8::/32 tcp dport 25 redirect to :10025\n"));
  CHECK(has(rules, "        ip saddr 10.0.0.0/8 tcp dport 25 reject with tcp reset\n"));
  CHECK_FALSE(has(rules, "hook output"));
  CHECK_FALSE(has(rules, "# ip "));
}

TEST_CASE("ruleset: on the host Postern's own connections come first") {
  for (const Interception by : {Interception::redirect, Interception::tproxy}) {
    const std::string rules = rules_of(plan(by, true, false));
    const std::size_t chain = rules.find("hook output");
    const std::size_t own = rules.find("meta mark 0x00002525 return", chain);
    const std::size_t local = rules.find("fib daddr type local return", chain);
    const std::size_t caught = rules.find("meta nfproto ipv4 tcp dport 25", chain);
    CHECK(chain < own);
    CHECK(own < local);
    CHECK(local < caught);
    CHECK(caught != std::string::npos);
    CHECK_FALSE(has(rules, "hook forward"));
  }
}

TEST_CASE("ruleset: what is Postern's own by user and by server") {
  Plan made = plan(Interception::redirect, true, false);
  made.own = {{1, 2}, 998, {*config::parse_endpoint("192.0.2.7:25"), *config::parse_endpoint("[2001:db8::7]:25")}};
  const std::string rules = rules_of(made);
  CHECK(has(rules, "meta mark { 0x00000001, 0x00000002 } return\n"));
  CHECK(has(rules, "meta skuid 998 return\n"));
  CHECK(has(rules, "ip daddr 192.0.2.7 tcp dport 25 return\n"));
  CHECK(has(rules, "ip6 daddr 2001:db8::7 tcp dport 25 return\n"));
}

TEST_CASE("ruleset: what has no user any more is not taken for somebody else's") {
  for (const Interception by : {Interception::redirect, Interception::tproxy}) {
    Plan made = plan(by, true, false);
    CHECK(has(rules_of(made), "        tcp dport 25 reject with tcp reset\n"));
    CHECK_FALSE(has(rules_of(made), "ct mark"));
    made.own = {{}, 998, {}};
    const std::string rules = rules_of(made);
    CHECK(has(rules, "        meta skuid != 998 tcp dport 25 reject with tcp reset\n"));
    CHECK_FALSE(has(rules, "        tcp dport 25 reject with tcp reset\n"));
    // Where others' have to be led on by lo until their end, ours are remembered.
    const std::size_t remembered =
        rules.find("meta skuid 998 tcp dport 25 ct mark 0x00000000 ct mark set 0x50540001\n");
    const std::size_t passes = rules.find("        ct mark 0x50540001 return\n");
    CHECK((remembered != std::string::npos) == (by == Interception::tproxy));
    CHECK((passes != std::string::npos) == (by == Interception::tproxy));
    if (by == Interception::tproxy) {
      CHECK(remembered < passes);
      CHECK(passes < rules.find("meta skuid 998 return\n"));
    }
  }
}

TEST_CASE("ruleset: tproxy says which routes it needs") {
  const std::string rules = rules_of(plan(Interception::tproxy, false, true));
  CHECK(has(rules, "# ip -4 rule add priority 170 fwmark 0x50530001 lookup 1347616769\n"));
  CHECK(has(rules, "# ip -6 route replace local default dev lo table 1347616769\n"));
  CHECK(has(rules, "tcp dport 25 socket transparent 1 meta mark set 0x50530001 accept\n"));
  CHECK(has(rules, "ip saddr 10.0.0.0/8 tcp dport 25 tproxy ip to :10025 meta mark set 0x50530001 accept\n"));
  CHECK_FALSE(has(rules, "tcp sport"));
}

TEST_CASE("ruleset: an address is led to by name where it is not the one that redirect finds") {
  Plan made = plan(Interception::redirect, true, false);
  made.catches[0].v4 = *config::parse_endpoint("127.0.0.1:10025");
  made.catches[0].v6 = *config::parse_endpoint("[2001:db8::1]:10025");
  std::string rules = rules_of(made);
  CHECK(has(rules, "redirect to :10025\n"));
  CHECK(has(rules, "dnat ip6 to [2001:db8::1]:10025\n"));
  made.catches[0].v4 = *config::parse_endpoint("127.0.0.2:10025");
  CHECK(has(rules_of(made), "dnat ip to 127.0.0.2:10025\n"));
  made.catches[0].by = Interception::tproxy;
  CHECK(has(rules_of(made), "tproxy ip to 127.0.0.2:10025 accept\n"));
}

TEST_CASE("ruleset: several ports, all networks, and answers of servers") {
  Plan made = plan(Interception::redirect, false, true);
  made.ports = {25, 587};
  made.catches[0].from = {*config::parse_network("0.0.0.0/0")};
  made.answering_ports = {25, 2525};
  made.clients_addresses_behind = true;
  const std::string rules = rules_of(made);
  CHECK(has(rules, "meta nfproto ipv4 tcp dport { 25, 587 } redirect to :10025\n"));
  CHECK_FALSE(has(rules, "ip6 saddr"));
  CHECK(has(rules, "tcp sport { 25, 2525 } socket transparent 1 meta mark set 0x50530001 accept\n"));
  CHECK(has(rules, "ct direction reply ct mark 0x50530001 meta mark set 0x50530001\n"));
}

TEST_CASE("ruleset: nothing in a path ends its comment") {
  Plan made = plan(Interception::redirect, false, true);
  made.config = "/etc/\"; drop\n}\n/" + std::string(300, 'x');
  made.notes = {"a note\nflush ruleset"};
  const std::string rules = rules_of(made);
  CHECK(has(rules, "    comment \"" + std::string(100, 'x') + "\"\n"));
  CHECK_FALSE(has(rules, "\nflush"));
  CHECK_FALSE(has(rules, "drop\n"));
}

TEST_CASE("kernel rules: the handle is found in what nft lists") {
  CHECK(handle_in("table inet postern_1 { # handle 12\n\tchain a { # handle 1\n") == "12");
  CHECK(handle_in("table inet postern_1 {\n\tchain a { # handle 1\n").empty());
  CHECK(handle_in("").empty());
}

}  // namespace ruleset_test
