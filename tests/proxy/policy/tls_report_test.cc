#include "proxy/policy/tls_report.h"

#include "proxy/wire/json.h"
#include "tests/support/catch.h"

namespace tls_report_test {

using namespace postern::policy;
using namespace std::chrono;

constexpr Day day = sys_days(2026y / January / 1);
const Reporter reporter{"Example Inc", "postmaster@example.com", "example.com"};
const ReportedPolicy sts{ReportPolicy::sts, {"version: STSv1", "mode: enforce"}, {"*.example.org"}};
const ReportedPolicy none{ReportPolicy::no_policy_found, {}, {}};
const ReportedSession session{"192.0.2.1", "mx.example.org", "mx.example.org", "192.0.2.2", "", ""};
const ReportRow success{ReportPolicy::sts, std::nullopt};
const ReportRow expired{ReportPolicy::sts, ReportResult::certificate_expired};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("tls_report: a whole report, as RFC 8460 has it") {
  TlsReport report;
  report.count(day, "example.org", sts, success, session);
  report.count(day, "example.org", sts, success, session);
  report.count(day, "example.org", sts, expired, session);
  report.count(day, "example.org", sts, expired, session);
  CHECK(report.to_json(day, "example.org", reporter) ==
        R"({"organization-name":"Example Inc",)"
        R"("date-range":{"start-datetime":"2026-01-01T00:00:00Z","end-datetime":"2026-01-01T23:59:59Z"},)"
        R"("contact-info":"postmaster@example.com","report-id":"2026-01-01T00:00:00Z_example.org@example.com",)"
        R"("policies":[{"policy":{"policy-type":"sts","policy-string":["version: STSv1","mode: enforce"],)"
        R"("policy-domain":"example.org","mx-host":["*.example.org"]},)"
        R"("summary":{"total-successful-session-count":2,"total-failure-session-count":2},)"
        R"("failure-details":[{"result-type":"certificate-expired","sending-mta-ip":"192.0.2.1",)"
        R"("receiving-mx-hostname":"mx.example.org","receiving-mx-helo":"mx.example.org","receiving-ip":"192.0.2.2",)"
        R"("failed-session-count":2}]}]})");
}

TEST_CASE("tls_report: domains, days and policies are kept apart") {
  TlsReport report;
  report.count(day, "a.example", sts, success, session);
  report.count(day, "b.example", sts, success, session);
  report.count(day + days(1), "a.example", sts, expired, session);
  report.count(day, "a.example", none, {ReportPolicy::no_policy_found, std::nullopt}, session);
  CHECK(report.domains(day) == std::vector<std::string>{"a.example", "b.example"});
  CHECK(report.domains(day + days(2)).empty());
  const std::string json = report.to_json(day, "a.example", reporter);
  CHECK(contains(json, "\"policy-type\":\"sts\""));
  CHECK(contains(json, "\"policy-type\":\"no-policy-found\""));
  CHECK_FALSE(contains(json, "certificate-expired"));
  CHECK(report.to_json(day, "c.example", reporter).empty());
  report.forget_before(day + days(1));
  CHECK(report.domains(day).empty());
  CHECK(report.domains(day + days(1)).size() == 1);
}

TEST_CASE("tls_report: fields that consumers demand are there even where nothing is known") {
  TlsReport report;
  report.count(day, "example.org", none, {ReportPolicy::no_policy_found, ReportResult::starttls_not_supported}, {});
  const std::string json = report.to_json(day, "example.org", reporter);
  for (const char* key : {"policy-domain", "sending-mta-ip", "receiving-mx-hostname", "policy-string", "mx-host",
                          "report-id", "contact-info"})
    CHECK(contains(json, "\"" + std::string(key) + "\":"));
}

TEST_CASE("tls_report: a flood of different failures is counted, not kept in detail") {
  TlsReport report;
  for (int i = 0; i < 1000; ++i) {
    ReportedSession different = session;
    different.receiving_ip = std::to_string(i);
    report.count(day, "example.org", sts, expired, different);
  }
  CHECK(contains(report.to_json(day, "example.org", reporter), "\"total-failure-session-count\":1000"));
  CHECK(report.to_json(day, "example.org", reporter).size() < 60000);
  for (int i = 0; i < 11000; ++i) report.count(day, std::to_string(i) + ".example", sts, success, session);
  CHECK(report.domains(day).size() == TlsReport::max_domains);
  CHECK(report.left_out(day) == TlsReport::LeftOut{1001, 800, 0});
}

// What a hostile domain says may be as long as DNS and HTTPS let it be.
ReportedPolicy long_policy(std::size_t strings, const std::string& mark) {
  return {ReportPolicy::sts, std::vector<std::string>(strings, "mx: " + mark), {"mx.example.org"}};
}
using LeftOut = TlsReport::LeftOut;

TEST_CASE("tls_report: of a policy that is too long the strings that fit are kept, and the sessions are counted") {
  TlsReport report;
  ReportedPolicy policy = long_policy(9000, "a.example.org");
  policy.text.insert(policy.text.begin() + 1, std::string(60'000, 'x'));
  for (int i = 0; i < 3; ++i) report.count(day, "example.org", policy, success, session);
  const std::string json = report.to_json(day, "example.org", reporter);
  CHECK(json.size() < 2 * TlsReport::max_policy_octets);
  CHECK(contains(json, "\"mx: a.example.org\",\"mx: a.example.org\""));
  CHECK_FALSE(contains(json, "xxx"));
  CHECK(contains(json, "\"total-successful-session-count\":3"));
  const LeftOut left_out = report.left_out(day);
  CHECK(left_out.sessions == 0);
  CHECK(left_out.strings > 8500);
  CHECK(left_out.strings < 9000);
  CHECK(report.left_out(day + days(1)) == LeftOut{});
}

TEST_CASE("tls_report: one domain takes so much and no more, whatever it publishes") {
  TlsReport report;
  for (int i = 0; i < 10; ++i) {
    const ReportedPolicy policy = long_policy(9000, std::to_string(i));
    for (int j = 0; j < 200; ++j) {
      ReportedSession different = session;
      different.additional = std::string(1000, 'x') + std::to_string(j);
      report.count(day, "example.org", policy, expired, different);
    }
  }
  CHECK(report.to_json(day, "example.org", reporter).size() < 2 * TlsReport::max_domain_octets);
  CHECK(contains(report.to_json(day, "example.org", reporter), "\"total-failure-session-count\":200"));
  const LeftOut left_out = report.left_out(day);
  CHECK(left_out.details + left_out.sessions > 1900);
  report.count(day, "another.example", sts, success, session);
  CHECK(report.domains(day) == std::vector<std::string>{"another.example", "example.org"});
}

TEST_CASE("tls_report: a day takes so much and no more, and what is known already is counted all the same") {
  TlsReport report;
  report.count(day, "first.example", sts, success, session);
  std::size_t kept = 0;
  for (int i = 0; i < 10000; ++i) {
    report.count(day, std::to_string(i) + ".example", long_policy(9000, std::to_string(i)), expired, session);
    if (i % 100 == 0) kept = report.domains(day).size();
  }
  CHECK(report.domains(day).size() == kept);
  CHECK(kept < 2 * TlsReport::max_octets / TlsReport::max_policy_octets);
  CHECK(report.left_out(day).sessions > 8000);
  report.count(day, "first.example", sts, success, session);
  CHECK(contains(report.to_json(day, "first.example", reporter), "\"total-successful-session-count\":2"));
  report.count(day, "0.example", long_policy(9000, "0"), expired, session);
  CHECK(contains(report.to_json(day, "0.example", reporter), "\"failed-session-count\":2"));
  report.count(day + days(1), "next.example", sts, success, session);
  CHECK(report.domains(day + days(1)).size() == 1);
}

TEST_CASE("tls_report: what the network said cannot break the JSON") {
  TlsReport report;
  ReportedSession hostile = session;
  hostile.additional = "a\"b\\c\r\n\x01\xff\xed\xa0\x80\xc3\xbc";
  report.count(day, "example.org", sts, expired, hostile);
  CHECK(contains(report.to_json(day, "example.org", reporter),
                 "a\\\"b\\\\c\\u000d\\u000a\\u0001\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xbc"));
}

TEST_CASE("tls_report: the file name holds sender, policy domain and the day's first and last second") {
  CHECK(report_file_name(reporter, "example.org", day) == "example.com!example.org!1767225600!1767311999.json");
}

TEST_CASE("tls_report: result and policy types are the registered words") {
  CHECK(to_string(ReportResult::starttls_not_supported) == "starttls-not-supported");
  CHECK(to_string(ReportResult::certificate_host_mismatch) == "certificate-host-mismatch");
  CHECK(to_string(ReportResult::sts_webpki_invalid) == "sts-webpki-invalid");
  CHECK(to_string(ReportPolicy::tlsa) == "tlsa");
}

}  // namespace tls_report_test
