#include "proxy/dns/name_servers.h"

#include "tests/support/catch.h"

namespace name_servers_test {

using namespace postern;
using namespace postern::dns;
using Servers = std::vector<std::string>;

config::DnsSettings settings_with(const std::vector<std::string>& servers) {
  config::DnsSettings settings;
  for (const auto& server : servers) settings.servers.push_back(*config::parse_endpoint(server));
  return settings;
}

TEST_CASE("name servers: those of the configuration, with their place") {
  const auto found = find_name_servers(settings_with({"192.0.2.1:5353", "[2001:db8::1]:53"}), "dns.servers at x:7");
  REQUIRE(found);
  CHECK(found->servers == Servers{"192.0.2.1@5353", "2001:db8::1@53"});
  CHECK(to_string(*found) == "192.0.2.1:5353, [2001:db8::1]:53 (dns.servers at x:7)");
  CHECK_FALSE(find_name_servers(settings_with({"localhost:53"}), ""));
}

TEST_CASE("name servers: with recursion there are none to be named") {
  config::DnsSettings settings;
  settings.recursive = true;
  const auto found = find_name_servers(settings, "dns.servers at x:7");
  REQUIRE(found);
  CHECK(found->servers.empty());
  CHECK(to_string(*found) == "the authoritative servers (dns.servers at x:7)");
}

TEST_CASE("name servers: what resolv.conf names, and this machine where it names none") {
  CHECK(parse_resolv_conf("# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.1\n"
                          "nameserver\t2001:db8::1 # x\n nameserver fe80::1%eth0\r\noptions edns0 trust-ad\n"
                          "nameserver nonsense\n") == Servers{"192.0.2.1@53", "2001:db8::1@53", "fe80::1%eth0@53"});
  CHECK(parse_resolv_conf("") == Servers{"127.0.0.1@53"});
}

}  // namespace name_servers_test
