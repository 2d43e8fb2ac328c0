#include "tls/verify_name.h"

#include "tests/support/catch.h"

namespace verify_name_test {

using postern::tls::name_matches;
using postern::tls::names_host;

TEST_CASE("verify_name: a name matches itself, whatever its case and with one trailing dot on the host") {
  CHECK(name_matches("mx.example.org", "mx.example.org"));
  CHECK(name_matches("MX.example.ORG", "mx.Example.org"));
  CHECK(name_matches("mx.example.org", "mx.example.org."));
  CHECK_FALSE(name_matches("mx.example.org", "mx.example.org.."));
  CHECK_FALSE(name_matches("mx.example.org.", "mx.example.org"));
  CHECK_FALSE(name_matches("mx.example.org", "mx2.example.org"));
  CHECK_FALSE(name_matches("example.org", "mx.example.org"));
  CHECK_FALSE(name_matches("mx.example.org", "example.org"));
}

TEST_CASE("verify_name: a wildcard stands for exactly one whole leftmost label") {
  CHECK(name_matches("*.example.org", "mx.example.org"));
  CHECK(name_matches("*.example.org", "xn--bcher-kva.example.org"));
  CHECK_FALSE(name_matches("*.example.org", "example.org"));
  CHECK_FALSE(name_matches("*.example.org", "a.b.example.org"));
  CHECK_FALSE(name_matches("*.example.org", ".example.org"));
  CHECK_FALSE(name_matches("m*.example.org", "mx.example.org"));
  CHECK_FALSE(name_matches("*x.example.org", "mx.example.org"));
  CHECK_FALSE(name_matches("mx.*.org", "mx.example.org"));
  CHECK_FALSE(name_matches("*.*.org", "mx.example.org"));
  CHECK_FALSE(name_matches("*.org", "example.org"));
  CHECK_FALSE(name_matches("*", "org"));
  CHECK_FALSE(name_matches("*.", "org."));
}

TEST_CASE("verify_name: a wildcard in the host we ask for matches nothing") {
  CHECK_FALSE(name_matches("*.example.org", "*.example.org"));
  CHECK_FALSE(name_matches("mx.example.org", "*.example.org"));
}

TEST_CASE("verify_name: addresses never match, not even a name that spells them") {
  CHECK_FALSE(name_matches("192.0.2.1", "192.0.2.1"));
  CHECK_FALSE(name_matches("*.0.2.1", "192.0.2.1"));
  CHECK_FALSE(name_matches("2001:db8::1", "2001:db8::1"));
  CHECK_FALSE(name_matches("[192.0.2.1]", "[192.0.2.1]"));
}

TEST_CASE("verify_name: internationalized names match as A-labels only") {
  CHECK(name_matches("xn--bcher-kva.example.org", "XN--bcher-kva.example.org"));
  CHECK_FALSE(
      name_matches("b\xc3\xbc"
                   "cher.example.org",
                   "b\xc3\xbc"
                   "cher.example.org"));
}

TEST_CASE("verify_name: what is no host name matches nothing") {
  CHECK_FALSE(name_matches("", ""));
  CHECK_FALSE(name_matches(".", "."));
  CHECK_FALSE(name_matches("a..example", "a..example"));
  CHECK_FALSE(name_matches("mx example.org", "mx example.org"));
  CHECK_FALSE(name_matches(std::string_view("mx.example.org\0.evil", 20), "mx.example.org"));
  const std::string long_label(64, 'a');
  CHECK_FALSE(name_matches(long_label + ".example", long_label + ".example"));
  std::string long_name;
  for (int i = 0; i < 64; ++i) long_name += "abc.";
  CHECK_FALSE(name_matches(long_name + "org", long_name + "org"));
}

TEST_CASE("verify_name: one of several names suffices, and none is not enough") {
  const std::vector<std::string> names = {"a.example.org", "*.example.net"};
  CHECK(names_host(names, "mx.example.net"));
  CHECK_FALSE(names_host(names, "mx.example.org"));
  CHECK_FALSE(names_host({}, "mx.example.org"));
}

}  // namespace verify_name_test
