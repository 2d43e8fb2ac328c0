#include "proxy/outbound/remembered_names.h"

#include "tests/support/catch.h"

namespace remembered_names_test {

using namespace postern;

net::SocketAddress address(std::uint16_t port) {
  return {*config::parse_ip_address("192.0.2.1"), port};
}

TEST_CASE("remembered names: the last name given to an address is found again") {
  postern::outbound::RememberedNames names;
  CHECK(names.find(address(25)).empty());
  names.remember(address(25), "a.example");
  names.remember(address(25), "b.example");
  CHECK(names.find(address(25)) == "b.example");
}

TEST_CASE("remembered names: never more than the limit, and those in use stay") {
  postern::outbound::RememberedNames names(100);
  names.remember(address(1), "kept.example");
  for (std::uint16_t port = 2; port < 1000; ++port) {
    names.remember(address(port), "other.example");
    CHECK(names.find(address(1)) == "kept.example");
    CHECK(names.size() <= 100);
  }
  CHECK(names.find(address(2)).empty());
}

}  // namespace remembered_names_test
