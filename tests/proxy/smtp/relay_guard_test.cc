#include "proxy/smtp/relay_guard.h"

#include <string>

#include "tests/support/catch.h"

namespace relay_guard_test {

using namespace std::string_view_literals;
using postern::config::DomainPattern;

bool allowed(std::string_view path, const std::vector<DomainPattern>& domains = {{"example.org"}, {".example.net"}}) {
  return postern::smtp::recipient_allowed(path, domains);
}

TEST_CASE("relay guard: mailboxes in listed domains pass") {
  for (const std::string_view path :
       {"a@example.org", "A.B+c@EXAMPLE.ORG", "a@example.org.", "a@sub.example.net", "a@a.b.example.net",
        "a@my_host.example.net", "\"a b\"@example.org", "\"a\\\"b\"@example.org", "\"a:b<c>\"@example.org",
        "j\xc3\xbcrgen@example.org", "o'neil/x=y@example.org", "@example.org:a@example.org",
        "@example.org,@x.example.net:a@example.org"}) {
    INFO(path);
    CHECK(allowed(path));
  }
}

TEST_CASE("relay guard: postmaster alone passes, in any case") {
  CHECK(allowed("postmaster"));
  CHECK(allowed("PostMaster"));
  CHECK(allowed("postmaster", {}));
  CHECK_FALSE(allowed("postmaster@other.example"));
  CHECK_FALSE(allowed("\"postmaster\""));
  CHECK_FALSE(allowed("postmaster "));
  CHECK_FALSE(allowed("@example.org:postmaster"));
}

TEST_CASE("relay guard: other domains are refused") {
  for (const std::string_view path : {"a@other.example", "a@example.org.evil", "a@notexample.org", "a@example.net",
                                      "a@.example.net", "a@sub.example.org", "a@example.org..", "a@x..example.net",
                                      "a@-", "a@", "@example.org", "", "a", "\"a@example.org\""}) {
    INFO(path);
    CHECK_FALSE(allowed(path));
  }
}

TEST_CASE("relay guard: detours are refused") {
  for (const std::string_view path : {"user%evil.example@example.org",
                                      "evil.example!user@example.org",
                                      "user@evil.example@example.org",
                                      "\"user@evil.example\"@example.org",
                                      "\"user\\@evil.example\"@example.org",
                                      "\"user%evil.example\"@example.org",
                                      "\"evil!user\"@example.org",
                                      "@evil.example:a@example.org",
                                      "@example.org,@evil.example:a@example.org",
                                      "@example.org:a@evil.example",
                                      "@example.org:@evil.example:a@example.org",
                                      "@example.org,evil.example:a@example.org",
                                      "@:a@example.org",
                                      "@example.org,:a@example.org",
                                      "@example.org:",
                                      "@example.org:a%b@example.org",
                                      ":a@example.org",
                                      "a:b@example.org",
                                      "<a@evil.example>@example.org",
                                      "a,b@example.org",
                                      "a;b@example.org",
                                      "(x)a@example.org",
                                      "a(@evil.example)@example.org",
                                      "\"a\"b@example.org",
                                      "a.\"b\"@example.org",
                                      "\"a\"\"b\"@example.org",
                                      "\"\"@example.org",
                                      "\"@example.org",
                                      "\"a@example.org",
                                      "\"a\\\"@example.org",
                                      "a\\@example.org",
                                      "@@example.org"}) {
    INFO(path);
    CHECK_FALSE(allowed(path));
  }
}

TEST_CASE("relay guard: blanks and controls are refused") {
  for (const std::string_view path :
       {" a@example.org"sv, "a@example.org "sv, "a b@example.org"sv, "a@example.org\t"sv, "a\0@example.org"sv,
        "a@example.org\0"sv, "a@example.org\0.evil"sv, "\"a\x01\"@example.org"sv, "a@exa mple.org"sv,
        "a@x\0.example.net"sv, "\"a\0b\"@example.org"sv}) {
    CHECK_FALSE(allowed(path));
  }
}

TEST_CASE("relay guard: address literals pass only where they are listed") {
  CHECK_FALSE(allowed("a@[192.0.2.1]"));
  CHECK_FALSE(allowed("a@[192.0.2.1]", {{"*"}}));
  CHECK_FALSE(allowed("a@[x].example.net"));
  CHECK(allowed("a@[192.0.2.1]", {{"[192.0.2.1]"}}));
  CHECK(allowed("a@[IPV6:2001:db8::1]", {{"[ipv6:2001:db8::1]"}}));
}

TEST_CASE("relay guard: UTF-8 domains pass as they are listed, not by a pattern for subdomains") {
  CHECK_FALSE(allowed("a@b\xc3\xbc.example.net"));
  CHECK(allowed("a@b\xc3\xbc.example", {{"b\xc3\xbc.example"}}));
  CHECK(allowed("a@b\xc3\xbc.example", {{"*"}}));
}

TEST_CASE("relay guard: every domain may be allowed, detours still not") {
  CHECK(allowed("a@anything.example", {{"*"}}));
  CHECK_FALSE(allowed("a%b@anything.example", {{"*"}}));
  CHECK_FALSE(allowed("a@*", {{"*"}}));
  CHECK_FALSE(allowed("a@.example.net", {{".example.net"}}));
  CHECK_FALSE(allowed("a@example.org", {}));
}

}  // namespace relay_guard_test
