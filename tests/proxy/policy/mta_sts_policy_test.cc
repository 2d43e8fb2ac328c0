#include "proxy/policy/mta_sts_policy.h"

#include "tests/support/catch.h"

namespace mta_sts_policy_test {

using namespace postern::policy;
using postern::Errc;

Errc record_error(const std::vector<std::string>& records) {
  const auto id = parse_mta_sts_record(records);
  REQUIRE_FALSE(id);
  return id.error().code;
}

std::string id_of(const std::string& record) {
  const std::vector<std::string> records = {"v=spf1 -all", record};
  return parse_mta_sts_record(records).value_or("");
}

TEST_CASE("mta_sts_policy: the record's id is found among other TXT records and fields") {
  CHECK(id_of("v=STSv1; id=20160831085700Z;") == "20160831085700Z");
  CHECK(id_of("v=STSv1;id=1") == "1");
  CHECK(id_of("v=STSv1 ; extra=x; id = abc ;") == "abc");
  CHECK(id_of("v=STSv1; id=a; id=b") == "a");
}

TEST_CASE("mta_sts_policy: no record, or more than one, is no policy") {
  CHECK(record_error({}) == Errc::not_found);
  CHECK(record_error({"v=spf1 -all"}) == Errc::not_found);
  CHECK(record_error({"v=STSv1; id=1", "v=STSv1; id=2"}) == Errc::protocol);
  CHECK(record_error({"v=STSv10; id=1"}) == Errc::not_found);
  CHECK(record_error({" v=STSv1; id=1"}) == Errc::not_found);
  CHECK(record_error({"V=stsv1; id=1"}) == Errc::not_found);
}

TEST_CASE("mta_sts_policy: a record without a valid id is malformed") {
  CHECK(record_error({"v=STSv1;"}) == Errc::protocol);
  CHECK(record_error({"v=STSv1"}) == Errc::protocol);
  CHECK(record_error({"v=STSv1; id="}) == Errc::protocol);
  CHECK(record_error({"v=STSv1; id=2020-01"}) == Errc::protocol);
  CHECK(record_error({"v=STSv1; id=" + std::string(33, 'a')}) == Errc::protocol);
  const std::vector<std::string> time = {"v=STSv1; id=2024-01-01T00:00:00"};
  CHECK(parse_mta_sts_record(time).error().message ==
        "the MTA-STS record's id '2024-01-01T00:00:00' is not 1 to 32 letters and digits");
}

TEST_CASE("mta_sts_policy: a policy is read with LF and with CRLF, keys unknown passed over") {
  for (const std::string end : {"\n", "\r\n"}) {
    const auto policy =
        parse_mta_sts_policy("version: STSv1" + end + "mode:enforce" + end + "future: x:y" + end +
                             "mx: MX.Example.org" + end + "mx:  *.example.net " + end + "max_age: 604800" + end);
    REQUIRE(policy);
    CHECK(policy->mode == MtaStsMode::enforce);
    CHECK(policy->max_age.count() == 604800);
    CHECK(policy->mx == std::vector<std::string>{"mx.example.org", "*.example.net"});
  }
}

TEST_CASE("mta_sts_policy: the first of duplicate keys counts") {
  const auto policy =
      parse_mta_sts_policy("version: STSv1\nmode: testing\nmode: enforce\nmx: a.b\nmax_age: 5\nmax_age: 6");
  REQUIRE(policy);
  CHECK(policy->mode == MtaStsMode::testing);
  CHECK(policy->max_age.count() == 5);
}

TEST_CASE("mta_sts_policy: mode none needs no mx") {
  const auto policy = parse_mta_sts_policy("version: STSv1\nmode: none\nmax_age: 86400\n");
  REQUIRE(policy);
  CHECK(policy->mode == MtaStsMode::none);
}

TEST_CASE("mta_sts_policy: a mistyped mx makes the policy invalid, never an empty list that matches nothing") {
  CHECK_FALSE(parse_mta_sts_policy("version: STSv1\nmode: enforce\nnmx: mx.example.org\nmax_age: 86400\n"));
}

TEST_CASE("mta_sts_policy: an mx that is no host name is left out, the others count") {
  const auto policy = parse_mta_sts_policy("version: STSv1\nmode: enforce\nmx: a b\nmx: mx.example.org\nmax_age: 9\n");
  REQUIRE(policy);
  CHECK(policy->mx == std::vector<std::string>{"mx.example.org"});
}

TEST_CASE("mta_sts_policy: what is malformed is refused") {
  const std::string rest = "mode: enforce\nmx: mx.example.org\n";
  CHECK_FALSE(parse_mta_sts_policy(""));
  CHECK_FALSE(parse_mta_sts_policy("<html>\n"));
  CHECK_FALSE(parse_mta_sts_policy("version: STSv1\n" + rest));
  CHECK_FALSE(parse_mta_sts_policy("version: STSv1\nmax_age: -1\n" + rest));
  CHECK_FALSE(parse_mta_sts_policy("version: STSv1\nmax_age: 1 day\n" + rest));
  CHECK_FALSE(parse_mta_sts_policy("version: STSv2\nmax_age: 1\n" + rest));
  CHECK_FALSE(parse_mta_sts_policy("max_age: 1\n" + rest));
  CHECK_FALSE(parse_mta_sts_policy("version: STSv1\nmax_age: 1\nmode: strict\nmx: mx.example.org\n"));
  CHECK_FALSE(parse_mta_sts_policy("version: STSv1\nmax_age: 1\nmode: enforce\nmx: *\n"));
  CHECK_FALSE(parse_mta_sts_policy("version: STSv1\nmax_age: 1\nmode: enforce\nmx: mx.*.org\n"));
  CHECK(parse_mta_sts_policy("version: STSv1\nmax_age: 31557600\n" + rest));
  CHECK_FALSE(parse_mta_sts_policy("version: STSv1\nmax_age: 1\n" + rest + std::string(max_mta_sts_policy, '\n')));
}

TEST_CASE("mta_sts_policy: what is only unusual does not void a policy") {
  const auto age = [](const std::string& max_age) {
    const auto policy = parse_mta_sts_policy("version: STSv1\nmode: enforce\nmx: a.example\nmax_age: " + max_age);
    return policy ? policy->max_age.count() : -1;
  };
  CHECK(age("0") == 0);
  CHECK(age("31557601") == 31557600);
  CHECK(age("99999999999999999999") == 31557600);
  for (const std::string odd : {"# a comment\n", "\t\n", "\xef\xbb\xbf", "# mode: none\n", "----\r\n"}) {
    const auto policy = parse_mta_sts_policy(
        odd + "version: STSv1\nmode: enforce\nmx: mail_1.example\nmx: *.b_c.example\nmax_age: 9\n");
    REQUIRE(policy);
    CHECK(policy->mode == MtaStsMode::enforce);
    CHECK(policy->mx == std::vector<std::string>{"mail_1.example", "*.b_c.example"});
    CHECK(lists_host(*policy, "mx_1.b_c.example"));
  }
}

TEST_CASE("mta_sts_policy: a policy that is void says why") {
  const auto reason = [](const std::string& text) { return parse_mta_sts_policy(text).error().message; };
  CHECK(reason("<html>") == "the policy has no version");
  CHECK(reason("version: STSv2\n") == "the policy's version 'STSv2' is not STSv1");
  CHECK(reason("version: STSv1\n") == "the policy has no mode");
  CHECK(reason("version: STSv1\nmode: none\nmax_age: 1d\n") == "the policy's max_age '1d' is not a number of seconds");
}

TEST_CASE("mta_sts_policy: a wildcard covers exactly one leftmost label of the MX name") {
  const MtaStsPolicy policy{MtaStsMode::enforce, std::chrono::seconds(1), {"mx.example.org", "*.example.net"}};
  CHECK(lists_host(policy, "mx.example.org"));
  CHECK(lists_host(policy, "MX.EXAMPLE.ORG."));
  CHECK(lists_host(policy, "a.example.net"));
  CHECK_FALSE(lists_host(policy, "example.net"));
  CHECK_FALSE(lists_host(policy, "a.b.example.net"));
  CHECK_FALSE(lists_host(policy, "mx2.example.org"));
  CHECK_FALSE(lists_host(policy, "a.mx.example.org"));
  CHECK_FALSE(lists_host(policy, ""));
}

TEST_CASE("mta_sts_policy: a printed policy reads as the same") {
  const MtaStsPolicy policy{MtaStsMode::testing, std::chrono::seconds(86400), {"mx.example.org", "*.example.net"}};
  const auto again = parse_mta_sts_policy(to_string(policy));
  REQUIRE(again);
  CHECK(*again == policy);
}

}  // namespace mta_sts_policy_test
