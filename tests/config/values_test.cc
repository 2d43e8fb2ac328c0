#include "config/values.h"

#include <limits>

#include "tests/support/catch.h"

namespace values_test {

using namespace postern;
using namespace postern::config;

std::string duration(std::string_view text) {
  const auto parsed = parse_duration(text);
  return parsed ? to_string(*parsed) : "refused";
}

std::string size(std::string_view text) {
  const auto parsed = parse_byte_size(text);
  return parsed ? to_string(*parsed) : "refused";
}

std::string ip(std::string_view text) {
  const auto parsed = parse_ip_address(text);
  return parsed ? to_string(*parsed) : "refused";
}

std::string endpoint(std::string_view text) {
  const auto parsed = parse_endpoint(text);
  return parsed ? to_string(*parsed) : parsed.error().message;
}

std::string network(std::string_view text) {
  const auto parsed = parse_network(text);
  return parsed ? to_string(*parsed) : parsed.error().message;
}

std::string domain(std::string_view text) {
  const auto parsed = parse_domain_pattern(text);
  return parsed ? parsed->text : "refused";
}

bool domain_matches(std::string_view pattern, std::string_view text) {
  return matches(parse_domain_pattern(pattern).value(), text);
}

TEST_CASE("values: a duration is a number with a unit, printed in the largest unit that divides it") {
  CHECK(duration("500ms") == "500ms");
  CHECK(duration("30s") == "30s");
  CHECK(duration("5m") == "5m");
  CHECK(duration("1h") == "1h");
  CHECK(duration("2d") == "2d");
  CHECK(duration("90s") == "90s");
  CHECK(duration("120s") == "2m");
  CHECK(duration("24h") == "1d");
  CHECK(duration("0s") == "0s");
  CHECK(parse_duration("1h").value() == std::chrono::hours(1));
}

TEST_CASE("values: what is no duration is refused") {
  for (const char* text : {"", "30", "s", "-1s", "+1s", "1.5s", "30 s", " 30s", "30S", "30sec", "1h30m", "0x10s",
                           "99999999999999999999s", "9223372036854775807d"}) {
    CHECK(duration(text) == "refused");
  }
  CHECK(parse_duration("30").error().message == "'30' has no unit: write 30s for seconds");
}

TEST_CASE("values: a duration that nobody can write still prints") {
  CHECK(to_string(Duration(-5)) == "-5ms");
  CHECK(to_string(Duration::min()) == std::to_string(std::numeric_limits<std::int64_t>::min()) + "ms");
}

TEST_CASE("values: a size is a number of octets with an optional unit") {
  CHECK(parse_byte_size("512").value().bytes == 512);
  CHECK(parse_byte_size("64KiB").value().bytes == 65536);
  CHECK(parse_byte_size("10MB").value().bytes == 10'000'000);
  CHECK(parse_byte_size("2GB").value().bytes == 2'000'000'000);
  CHECK(size("50MiB") == "50MiB");
  CHECK(size("1024MiB") == "1GiB");
  CHECK(size("1500") == "1500");
  CHECK(size("0") == "0");
  for (const char* text : {"", "MiB", "-1", "1.5MiB", "50 MiB", "50M", "50mib", "99999999999GiB", "1e3"}) {
    CHECK(size(text) == "refused");
  }
}

TEST_CASE("values: an IP address prints in its canonical form") {
  CHECK(ip("127.0.0.1") == "127.0.0.1");
  CHECK(ip("::1") == "::1");
  CHECK(ip("2001:DB8:0:0:1:0:0:1") == "2001:db8::1:0:0:1");
  CHECK(ip("::ffff:10.1.2.3") == "10.1.2.3");
  CHECK(parse_ip_address("::ffff:10.1.2.3").value() == parse_ip_address("10.1.2.3").value());
  for (const char* text : {"", "127.1", "256.0.0.1", "1.2.3.4.5", "01.2.3.4", "[::1]", "::1%lo", ":::", "1.2.3.4 "}) {
    CHECK(ip(text) == "refused");
  }
  CHECK(ip(std::string_view("1.2.3.4\0", 8)) == "refused");
}

TEST_CASE("values: an endpoint is an address or name with a port, or a unix socket") {
  CHECK(endpoint("127.0.0.1:25") == "127.0.0.1:25");
  CHECK(endpoint("[::1]:25") == "[::1]:25");
  CHECK(endpoint("[::ffff:127.0.0.1]:25") == "127.0.0.1:25");
  CHECK(endpoint("mail.example.org:587") == "mail.example.org:587");
  CHECK(endpoint("unix:/run/x.sock") == "unix:/run/x.sock");
  CHECK(endpoint("127.0.0.1:0") == "127.0.0.1:0");
  CHECK(parse_endpoint("localhost:25").value().kind == Endpoint::Kind::name);
  CHECK(parse_endpoint("127.0.0.1:25").value().port == 25);
}

TEST_CASE("values: a wrong endpoint is told what is wrong with it") {
  CHECK(endpoint("127.0.0.1") == "'127.0.0.1' has no port: write 127.0.0.1:25");
  CHECK(endpoint("[::1]") == "'[::1]' has no port: write [::1]:25");
  CHECK(endpoint("::1:25") == "'::1:25' is an IPv6 address without brackets: write [::1]:25");
  CHECK(endpoint("127.0.0.300:25") == "'127.0.0.300' is neither an IP address nor a host name");
  CHECK(endpoint("127.0.0.1:70000") == "'70000' is not a port from 0 to 65535");
  CHECK(endpoint("127.0.0.1:") == "'' is not a port from 0 to 65535");
  CHECK(endpoint(":25") == "'' is neither an IP address nor a host name");
  CHECK(endpoint("[127.0.0.1]:25") == "'[127.0.0.1]:25' has brackets, which are for IPv6: write 127.0.0.1:25");
  CHECK(endpoint("unix:run/x.sock") == "a unix socket needs an absolute path, as in unix:/run/smtp.sock");
  CHECK(endpoint("unix:/" + std::string(107, 'x')) == "the path of a unix socket may have at most 107 characters");
}

TEST_CASE("values: a network has no bits beyond its prefix") {
  CHECK(network("10.0.0.0/8") == "10.0.0.0/8");
  CHECK(network("10.1.2.3") == "10.1.2.3/32");
  CHECK(network("::1") == "::1/128");
  CHECK(network("2001:db8::/32") == "2001:db8::/32");
  CHECK(network("::ffff:10.0.0.0/104") == "10.0.0.0/8");
  CHECK(network("0.0.0.0/0") == "0.0.0.0/0");
  CHECK(network("10.0.0.1/8") == "'10.0.0.1/8' has bits set beyond its prefix: write 10.0.0.0/8");
  CHECK(network("10.0.0.0/33") == "'10.0.0.0/33' has a prefix length that is not from 0 to 32");
  CHECK(network("::/129") == "'::/129' has a prefix length that is not from 0 to 128");
  CHECK(network("10.0.0.0/") == "'10.0.0.0/' has a prefix length that is not from 0 to 32");
  CHECK(network("nonsense") == "'nonsense' is not a network such as 10.0.0.0/8 or ::1/128");
}

TEST_CASE("values: a network contains the addresses that share its prefix, of its family") {
  const auto in = [](std::string_view net, std::string_view address) {
    return contains(parse_network(net).value(), parse_ip_address(address).value());
  };
  CHECK(in("10.0.0.0/8", "10.255.0.1"));
  CHECK_FALSE(in("10.0.0.0/8", "11.0.0.1"));
  CHECK(in("10.128.0.0/9", "10.200.0.1"));
  CHECK_FALSE(in("10.128.0.0/9", "10.127.0.1"));
  CHECK(in("0.0.0.0/0", "203.0.113.9"));
  CHECK_FALSE(in("0.0.0.0/0", "::1"));
  CHECK(in("10.0.0.0/8", "::ffff:10.1.1.1"));
  CHECK(in("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(in("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(contains(std::vector{parse_network("::1").value(), parse_network("10.0.0.1").value()},
                 parse_ip_address("10.0.0.1").value()));
  CHECK_FALSE(contains(std::vector<Network>{}, parse_ip_address("10.0.0.1").value()));
}

TEST_CASE("values: a domain pattern matches itself, subdomains alone, or everything") {
  CHECK(domain_matches("example.org", "EXAMPLE.org."));
  CHECK_FALSE(domain_matches("example.org", "a.example.org"));
  CHECK(domain_matches(".example.org", "a.b.Example.Org"));
  CHECK_FALSE(domain_matches(".example.org", "example.org"));
  CHECK_FALSE(domain_matches(".example.org", ".example.org"));
  CHECK_FALSE(domain_matches(".example.org", "badexample.org"));
  CHECK_FALSE(domain_matches("example.org", ""));
  CHECK(domain_matches("*", "anything.example"));
  CHECK(domain_matches("[192.0.2.1]", "[192.0.2.1]"));
}

TEST_CASE("values: what is no domain pattern is refused") {
  CHECK(domain("Example.ORG.") == "example.org");
  CHECK(domain("[IPv6:2001:db8::1]") == "[ipv6:2001:db8::1]");
  for (const char* text : {"", ".", "..", "*.example.org", "a..b", "exa mple.org", "-a.org", "user@example.org",
                           "192.0.2.1", "[]", "[::1]", "[IPv6:192.0.2.1]", "[192.0.2.1",
                           "b\xc3\xbc"
                           "cher.example"}) {
    CHECK(domain(text) == "refused");
  }
}

TEST_CASE("values: names with underscores are names, wherever one stands") {
  CHECK(parse_endpoint("mail_server:4525")->name == "mail_server");
  CHECK(domain("under_score.example") == "under_score.example");
  CHECK(domain("._sub.example") == "._sub.example");
}

TEST_CASE("values: a host name has labels of letters, digits, underscores and inner hyphens") {
  CHECK(is_host_name("localhost"));
  CHECK(is_host_name("mx-1.example.org"));
  CHECK(is_host_name("3com.com"));
  CHECK(is_host_name(std::string(63, 'a') + ".org"));
  CHECK_FALSE(is_host_name(std::string(64, 'a') + ".org"));
  CHECK_FALSE(is_host_name(""));
  CHECK_FALSE(is_host_name("example.org."));
  CHECK(is_host_name("mail_server"));
  CHECK(is_host_name("_mx._tcp.example.org"));
  CHECK(is_host_name("a_.example"));
  CHECK_FALSE(is_host_name("1.2.3.4_5."));
  CHECK_FALSE(is_host_name("-a.example"));
  CHECK_FALSE(is_host_name("a-.example"));
  CHECK_FALSE(is_host_name("192.0.2.1"));
  std::string long_name;
  while (long_name.size() <= 253) long_name += "label.";
  CHECK_FALSE(is_host_name(long_name + "org"));
}

}  // namespace values_test
