#include "proxy/policy/tls_report.h"

#include <cstdio>

#include "config/assert.h"
#include "proxy/policy/json_writer.h"

namespace postern::policy {

namespace {

std::string date(Day day) {
  const std::chrono::year_month_day parts(day);
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(parts.year()),
                static_cast<unsigned>(parts.month()), static_cast<unsigned>(parts.day()));
  return text;
}

std::int64_t seconds(Day day) {
  return std::chrono::seconds(day.time_since_epoch()).count();
}

}  // namespace

void TlsReport::count(Day day, std::string_view domain, const ReportedPolicy& policy, const ReportRow& row,
                      const ReportedSession& session) {
  POSTERN_ASSERT(row.policy == policy.type, "a session is counted under the policy that it was judged by");
  auto& domains = days_[day];
  auto found = domains.find(domain);
  if (found == domains.end()) {
    if (domains.size() >= max_domains) return;
    found = domains.emplace(std::string(domain), Policies{}).first;
  }
  Policies& policies = found->second;
  if (policies.size() >= max_policies && !policies.contains(policy)) return;
  Counts& counts = policies[policy];
  if (!row.failure) {
    ++counts.successes;
    return;
  }
  ++counts.failures;
  const Detail detail{*row.failure, session};
  if (counts.details.size() < max_details || counts.details.contains(detail)) ++counts.details[detail];
}

std::vector<std::string> TlsReport::domains(Day day) const {
  std::vector<std::string> names;
  const auto found = days_.find(day);
  if (found == days_.end()) return names;
  for (const auto& [domain, policies] : found->second) names.push_back(domain);
  return names;
}

void TlsReport::forget_before(Day day) {
  days_.erase(days_.begin(), days_.lower_bound(day));
}

void TlsReport::print_detail(JsonWriter& json, const Detail& detail, std::uint64_t count) {
  json.begin_object();
  json.value("result-type", to_string(detail.result));
  json.value("sending-mta-ip", detail.session.sending_ip);
  json.value("receiving-mx-hostname", detail.session.mx_host);
  if (!detail.session.mx_helo.empty()) json.value("receiving-mx-helo", detail.session.mx_helo);
  if (!detail.session.receiving_ip.empty()) json.value("receiving-ip", detail.session.receiving_ip);
  json.value("failed-session-count", count);
  if (!detail.session.additional.empty()) json.value("additional-information", detail.session.additional);
  if (!detail.session.reason_code.empty()) json.value("failure-reason-code", detail.session.reason_code);
  json.end_object();
}

void TlsReport::print_policy(JsonWriter& json, std::string_view domain, const ReportedPolicy& policy,
                             const Counts& counts) {
  json.begin_object();
  json.begin_object("policy");
  json.value("policy-type", to_string(policy.type));
  json.values("policy-string", policy.text);
  json.value("policy-domain", domain);
  json.values("mx-host", policy.mx_hosts);
  json.end_object();
  json.begin_object("summary");
  json.value("total-successful-session-count", counts.successes);
  json.value("total-failure-session-count", counts.failures);
  json.end_object();
  json.begin_array("failure-details");
  for (const auto& [detail, count] : counts.details) print_detail(json, detail, count);
  json.end_array();
  json.end_object();
}

std::string TlsReport::to_json(Day day, std::string_view domain, const Reporter& reporter) const {
  const auto domains = days_.find(day);
  if (domains == days_.end()) return {};
  const auto policies = domains->second.find(domain);
  if (policies == domains->second.end()) return {};

  JsonWriter json;
  json.begin_object();
  json.value("organization-name", reporter.organization);
  json.begin_object("date-range");
  json.value("start-datetime", date(day) + "T00:00:00Z");
  json.value("end-datetime", date(day) + "T23:59:59Z");
  json.end_object();
  json.value("contact-info", reporter.contact);
  json.value("report-id", report_id(reporter, domain, day));
  json.begin_array("policies");
  for (const auto& [policy, counts] : policies->second) print_policy(json, domain, policy, counts);
  json.end_array();
  json.end_object();
  return json.take();
}

std::string report_id(const Reporter& reporter, std::string_view domain, Day day) {
  return date(day) + "T00:00:00Z_" + std::string(domain) + "@" + reporter.domain;
}

std::string report_file_name(const Reporter& reporter, std::string_view domain, Day day) {
  const std::int64_t begin = seconds(day);
  return reporter.domain + "!" + std::string(domain) + "!" + std::to_string(begin) + "!" +
         std::to_string(begin + 86399) + ".json";
}

}  // namespace postern::policy
