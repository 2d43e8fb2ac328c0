#include "proxy/outbound/own_addresses.h"

#include "proxy/net/interface_addresses.h"
#include "tests/support/catch.h"

namespace own_addresses_test {

using namespace postern;
using outbound::is_outbound_listener;
using outbound::is_own_mail_host;

net::SocketAddress at(const std::string& text) {
  const auto endpoint = *config::parse_endpoint(text);
  return {endpoint.address, endpoint.port};
}

config::Settings listening(const std::string& inbound, const std::string& outbound) {
  config::Settings settings;
  settings.inbound.emplace_back().listen = {*config::parse_endpoint(inbound)};
  settings.outbound.emplace_back().listen = {*config::parse_endpoint(outbound)};
  return settings;
}

TEST_CASE("own addresses: a listener's own address, and on a listener for all of them every local one") {
  const auto settings = listening("192.0.2.1:25", "0.0.0.0:10025");
  CHECK(is_outbound_listener(settings, at("127.0.0.5:10025")));
  CHECK_FALSE(is_outbound_listener(settings, at("192.0.2.1:25")));
  CHECK_FALSE(is_outbound_listener(settings, at("192.0.2.77:10025")));  // not of this machine
  CHECK_FALSE(is_outbound_listener(settings, at("[::1]:10025")));       // nor of this family
  CHECK(is_own_mail_host(settings, at("192.0.2.1:25")));
  CHECK_FALSE(is_own_mail_host(settings, at("192.0.2.1:26")));
  CHECK_FALSE(is_own_mail_host(settings, at("192.0.2.77:25")));
}

TEST_CASE("own addresses: what an interface has is ours, and a whole network of it is not") {
  CHECK(net::is_interface_address(*config::parse_ip_address("127.0.0.1")));
  CHECK_FALSE(net::is_interface_address(*config::parse_ip_address("127.9.9.9")));
  CHECK_FALSE(net::is_interface_address(*config::parse_ip_address("192.0.2.77")));
}

TEST_CASE("own addresses: loopback is nobody's mail host, whoever listens") {
  const auto settings = listening("192.0.2.1:25", "192.0.2.1:10025");
  for (const auto* address : {"127.0.0.1:25", "127.9.9.9:25", "[::1]:25", "0.0.0.0:25", "[::]:25"}) {
    CHECK(is_own_mail_host(settings, at(address)));
  }
}

}  // namespace own_addresses_test
