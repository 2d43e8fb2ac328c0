#include "proxy/probe/probe.h"

#include "tests/support/catch.h"

namespace probe_test {

using postern::probe::parse_probe_target;

std::string target(std::string_view text) {
  const auto found = parse_probe_target(text);
  if (!found) return "none";
  return found->name + (found->port ? " " + std::to_string(*found->port) : "");
}

TEST_CASE("probe: the target is a domain, a host with a port, or an address") {
  CHECK(target("example.org") == "example.org");
  CHECK(target("mx.example.org:587") == "mx.example.org 587");
  CHECK(target("192.0.2.1") == "192.0.2.1 25");
  CHECK(target("[2001:db8::1]:25") == "2001:db8::1 25");
  CHECK(target("not a domain") == "none");
}

TEST_CASE("probe: the target is looked for as a session would, whatever its case and with or without a final dot") {
  CHECK(target("Example.ORG.") == "example.org");
  CHECK(target("MX.Example.Org:587") == "mx.example.org 587");
  CHECK(target("old_office.example") == "old_office.example");
  CHECK(target("b\xc3\xbc"
               "cher.example") == "xn--bcher-kva.example");
  CHECK(target(".") == "none");
}

}  // namespace probe_test
