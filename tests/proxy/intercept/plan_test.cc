#include "proxy/intercept/plan.h"

#include <algorithm>
#include <string>

#include "config/text.h"
#include "proxy/intercept/reach.h"
#include "tests/support/catch.h"

namespace plan_test {

using namespace postern;
using namespace postern::intercept;

config::IpAddress address(const std::string& text) {
  return *config::parse_ip_address(text);
}

std::vector<config::Network> networks(const std::vector<std::string>& texts) {
  std::vector<config::Network> parsed;
  for (const std::string& text : texts) parsed.push_back(*config::parse_network(text));
  return parsed;
}

Machine machine(std::optional<std::uint32_t> user = std::nullopt) {
  return {
      {address("127.0.0.1"), address("::1"), address("198.51.100.10"), address("2001:db8:100::10"), address("fe80::1")},
      user};
}

const std::string listener =
    "outbound:\n"
    "  internet:\n"
    "    listen: ['0.0.0.0:10025', '[::]:10025']\n"
    "    route: original_destination\n";

struct Planned {
  config::Loaded loaded;
  std::optional<Plan> plan;
  std::string notes() const { return plan ? config::listed(plan->notes) : std::string(); }
};

Planned planned(const std::string& yaml, const Wishes& wishes = {}, const Machine& on = machine()) {
  Planned result{config::load_text(yaml, "postern.yaml", {}), {}};
  INFO(result.loaded.first_error());
  REQUIRE(result.loaded.ok());
  result.plan = make_plan(result.loaded, "/etc/postern/postern.yaml", wishes, on);
  CHECK(result.plan.has_value() == result.loaded.ok());
  return result;
}

TEST_CASE("plan: names hang on the path of the configuration alone") {
  const Names one = names_for("/etc/postern/postern.yaml");
  CHECK(one.table == names_for("/etc/postern/postern.yaml").table);
  CHECK(one.table.size() == std::string("postern_").size() + 8);
  CHECK(one.number >> 16U == 0x5053);
  const Names other = names_for("/etc/postern/other.yaml");
  CHECK(other.table != one.table);
  CHECK(other.number != one.number);
}

TEST_CASE("plan: who is let in says whose connections are meant") {
  SECTION("networks of others: a router") {
    const auto made = planned(listener + "    allow_clients: [127.0.0.0/8, 198.51.100.0/24, '2001:db8:100::/64']\n");
    REQUIRE(made.plan);
    const intercept::Catch& one = made.plan->catches.at(0);
    CHECK((one.router && !one.host));
    CHECK(one.strangers.empty());
    CHECK(listed_networks(one.from) == "198.51.100.0/24, 2001:db8:100::/64");
    CHECK(made.notes().find("as --router") != std::string::npos);
  }
  SECTION("its own addresses: the host itself") {
    const auto made = planned(listener + "    socket_mark: 0x2525\n    allow_clients: [127.0.0.0/8, 198.51.100.10]\n");
    REQUIRE(made.plan);
    CHECK((made.plan->catches.at(0).host && !made.plan->catches.at(0).router));
    CHECK(made.plan->own.marks == std::vector<std::uint32_t>{0x2525});
    CHECK_FALSE(made.plan->own.user);
    CHECK(made.plan->catches.at(0).strangers == std::vector<config::IpAddress>{address("2001:db8:100::10")});
    CHECK(
        made.notes().find("not in allow_clients, and so refused with 554 5.7.1 when brought here: 2001:db8:100::10") !=
        std::string::npos);
  }
  SECTION("a listener that only this machine reaches: the host itself") {
    const auto made = planned(
        "outbound:\n  internet:\n    listen: ['127.0.0.1:10025']\n    route: original_destination\n    socket_mark: 1\n"
        "    allow_clients: [198.51.100.0/24]\n");
    REQUIRE(made.plan);
    CHECK(made.plan->catches.at(0).host);
    CHECK_FALSE(made.plan->catches.at(0).v6);
    CHECK(made.notes().find("connections over IPv6 are refused") != std::string::npos);
  }
  SECTION("what was asked for counts more") {
    Wishes wishes;
    wishes.from = networks({"10.0.0.0/8", "10.1.0.0/16", "198.51.100.0/24"});
    const auto made = planned(listener + "    allow_clients: [198.51.100.0/24]\n", wishes);
    REQUIRE(made.plan);
    CHECK(listed_networks(made.plan->catches.at(0).from) == "10.0.0.0/8, 198.51.100.0/24");
    CHECK(made.notes().find("brought here: 10.0.0.0/8") != std::string::npos);
    CHECK(made.notes().find("IPv6 is left alone") != std::string::npos);
    CHECK(made.plan->own.marks.empty());
  }
}

TEST_CASE("plan: what cannot be is an error with its place") {
  const auto error_of = [](const std::string& yaml, const Wishes& wishes = {}, const Machine& on = machine()) {
    const auto made = planned(yaml, wishes, on);
    CHECK_FALSE(made.plan);
    return made.loaded.first_error();
  };
  Wishes router;
  router.router = true;
  Wishes host;
  host.host = true;
  Wishes named;
  named.listener = "nobody";
  Wishes from;
  from.from = networks({"10.0.0.0/8"});
  const std::string marked = listener + "    socket_mark: 1\n";
  CHECK(error_of("outbound:\n  mx:\n    listen: ['127.0.0.1:10025']\n    route: mx\n")
            .find("postern.yaml:1:1: error: no listener has route: original_destination") == 0);
  CHECK(error_of(marked, named).find("no listener 'nobody'") != std::string::npos);
  CHECK(error_of(marked, router).find("--from NETWORK") != std::string::npos);
  CHECK(error_of("outbound:\n  internet:\n    listen: ['127.0.0.1:10025']\n    route: original_destination\n", from)
            .find("postern.yaml:3:13: error: ") == 0);
  CHECK(error_of("outbound:\n  internet:\n    listen: ['127.0.0.1:0']\n    route: original_destination\n", host)
            .find("no address with a port") != std::string::npos);
  const std::string two = marked + "  other:\n    listen: ['0.0.0.0:10026']\n    route: original_destination\n";
  CHECK(error_of(two, from).find("--listener NAME") != std::string::npos);
  CHECK(error_of(two + "    socket_mark: 1\n", host).find("to one listener only") != std::string::npos);
}

TEST_CASE("plan: on the host, what is Postern's own must be told apart") {
  Wishes host;
  host.host = true;
  SECTION("by nothing: refused") {
    const auto made = planned(listener, host);
    CHECK_FALSE(made.plan);
    CHECK(made.loaded.first_error().find("postern.yaml:2:3: error: ") == 0);
    CHECK(made.loaded.first_error().find("set socket_mark") != std::string::npos);
  }
  SECTION("root's connections are everybody's") {
    CHECK_FALSE(planned(listener, host, machine(0)).plan);
  }
  SECTION("by a user of its own") {
    const auto made = planned("user: postern\n" + listener, host, machine(998));
    REQUIRE(made.plan);
    CHECK(made.plan->own.user == 998U);
  }
  SECTION("every listener that connects to such a port needs a mark") {
    const std::string marked = listener + "    socket_mark: 1\n";
    const std::string relay =
        "  office:\n    listen: ['127.0.0.1:10026']\n    route: relay\n    relay: { address: 'smtp.example.com:587' "
        "}\n";
    CHECK(planned(marked + relay, host).plan);
    Wishes both = host;
    both.ports = {587, 25, 25};
    CHECK_FALSE(planned(marked + relay, both).plan);
    const auto made = planned("user: postern\n" + marked + relay, both, machine(998));
    REQUIRE(made.plan);
    CHECK(made.plan->ports == std::vector<std::uint16_t>{25, 587});
    CHECK(made.plan->own.user == 998U);
    CHECK(made.notes().find("user 'postern' are left alone") != std::string::npos);
  }
  SECTION("servers behind inbound listeners are left alone, where their address is known") {
    const auto inbound = [](const std::string& server) {
      return "inbound:\n  mx:\n    listen: ['0.0.0.0:25']\n    mode: none\n    allow_open_relay_risk: true\n"
             "    backend: { address: '" +
             server + "' }\n";
    };
    const std::string marked = listener + "    socket_mark: 1\n";
    const auto made = planned(marked + inbound("192.168.0.7:25"), host);
    REQUIRE(made.plan);
    REQUIRE(made.plan->own.servers.size() == 1);
    CHECK(config::to_string(made.plan->own.servers[0]) == "192.168.0.7:25");
    CHECK(planned(marked + inbound("192.168.0.7:2525"), host).plan->own.servers.empty());
    CHECK_FALSE(planned(marked + inbound("server.example:25"), host).plan);
    CHECK(planned("user: postern\n" + marked + inbound("server.example:25"), host, machine(998)).plan->own.user ==
          998U);
  }
}

TEST_CASE("plan: routes are needed where packets of foreign addresses end here") {
  Wishes from;
  from.from = networks({"10.0.0.0/8"});
  const auto routed = [&](const std::string& more) { return planned(listener + more, from).plan->needs_routes(); };
  CHECK_FALSE(routed(""));
  CHECK(routed("    interception: tproxy\n"));
  CHECK(routed("    source: client\n"));
  const auto made = planned(
      "inbound:\n  mx:\n    listen: ['0.0.0.0:25']\n    mode: none\n"
      "    backend: { address: '10.0.0.2:2525', client_address: transparent }\n");
  REQUIRE(made.plan);
  CHECK(made.plan->catches.empty());
  CHECK(made.plan->needs_routes());
  CHECK(made.plan->clients_addresses_behind);
  CHECK(made.plan->answering_ports == std::vector<std::uint16_t>{2525});
}

TEST_CASE("plan: a mark of packets that are routed here is no socket_mark") {
  const std::string own = std::to_string(names_for("/etc/postern/postern.yaml").number);
  CHECK_FALSE(planned(listener + "    socket_mark: " + own + "\n").plan);
}

TEST_CASE("reach: a network that is in another is left out") {
  CHECK(listed_networks(without_covered(networks({"10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "::1", "0.0.0.0/0"}))) ==
        "0.0.0.0/0, ::1/128");
  CHECK(is_covered(networks({"10.1.0.0/16"})[0], networks({"::/0", "10.0.0.0/8"})));
  CHECK_FALSE(is_covered(networks({"10.0.0.0/8"})[0], networks({"::/0", "10.1.0.0/16"})));
}

TEST_CASE("reach: loopback is for this machine, or for tproxy") {
  const std::vector<config::Endpoint> loopback = {*config::parse_endpoint("127.0.0.1:10025")};
  const auto v4 = config::IpAddress::Family::v4;
  intercept::Catch one;
  one.host = true;
  CHECK(landing(loopback, v4, one));
  CHECK_FALSE(landing(loopback, config::IpAddress::Family::v6, one));
  one.router = true;
  CHECK_FALSE(landing(loopback, v4, one));
  one.by = config::Interception::tproxy;
  CHECK(landing(loopback, v4, one));
  const std::vector<config::Endpoint> several = {*config::parse_endpoint("10.0.0.1:1"),
                                                 *config::parse_endpoint("0.0.0.0:2")};
  CHECK(landing(several, v4, one)->port == 2);
}

}  // namespace plan_test
