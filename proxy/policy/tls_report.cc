#include "proxy/policy/tls_report.h"

#include <cstdio>

#include "config/assert.h"
#include "proxy/wire/json.h"

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

// What things take in memory, near enough: a string costs its object however short it is, and so does a map's node.
constexpr std::size_t map_node = 64;

std::size_t octets_of(std::string_view text) {
  return sizeof(std::string) + text.size();
}
std::size_t octets_of(const std::vector<std::string>& strings) {
  std::size_t octets = 0;
  for (const std::string& text : strings) octets += octets_of(text);
  return octets;
}
std::size_t octets_of(const ReportedPolicy& policy) {
  return octets_of(policy.text) + octets_of(policy.mx_hosts);
}
std::size_t octets_of(const ReportedSession& session) {
  std::size_t octets = 0;
  for (const std::string* text : {&session.sending_ip, &session.mx_host, &session.mx_helo, &session.receiving_ip,
                                  &session.additional, &session.reason_code}) {
    octets += octets_of(*text);
  }
  return octets;
}

std::size_t count_strings(const ReportedPolicy& policy) {
  return policy.text.size() + policy.mx_hosts.size();
}

// Without the strings that are too many: each is kept whole or not at all.
ReportedPolicy shortened(const ReportedPolicy& policy) {
  std::size_t room = TlsReport::max_policy_octets;
  const auto fitting = [&room](const std::vector<std::string>& strings) {
    std::vector<std::string> kept;
    for (const std::string& text : strings) {
      if (octets_of(text) > room) continue;
      room -= octets_of(text);
      kept.push_back(text);
    }
    return kept;
  };
  ReportedPolicy kept{policy.type, fitting(policy.text), {}};
  kept.mx_hosts = fitting(policy.mx_hosts);
  return kept;
}

}  // namespace

std::vector<ReportedPolicy> published(const Verdict& verdict, const std::vector<tls::TlsaRecord>& tlsa,
                                      const MtaStsFacts& mta_sts) {
  std::vector<ReportedPolicy> policies;
  for (const ReportRow& row : verdict.reports) {
    ReportedPolicy& found = policies.emplace_back();
    found.type = row.policy;
    if (row.policy == ReportPolicy::tlsa) {
      for (const auto& record : tlsa) found.text.push_back(tls::to_string(record));
    } else if (row.policy == ReportPolicy::sts && mta_sts.policy) {
      found.text = policy_strings(*mta_sts.policy);
      found.mx_hosts = mta_sts.policy->mx;
    }
  }
  return policies;
}

void TlsReport::count(Day day, std::string_view domain, const ReportedPolicy& policy, const ReportRow& row,
                      const ReportedSession& session) {
  POSTERN_ASSERT(row.policy == policy.type, "a session is counted under the policy that it was judged by");
  OneDay& all = days_[day];
  const ReportedPolicy kept = shortened(policy);
  Counts* counts = find_or_add(all, domain, kept);
  if (counts == nullptr) {
    ++all.left_out.sessions;
    return;
  }
  const bool is_new = counts->successes == 0 && counts->failures == 0;
  if (is_new) all.left_out.strings += count_strings(policy) - count_strings(kept);
  if (!row.failure) {
    ++counts->successes;
    return;
  }
  ++counts->failures;
  const Detail detail{*row.failure, session};
  const auto known = counts->details.find(detail);
  if (known != counts->details.end()) {
    ++known->second;
  } else if (counts->details.size() < max_details &&
             take(all, all.domains.find(domain)->second, map_node + octets_of(session))) {
    counts->details.emplace(detail, 1);
  } else {
    ++all.left_out.details;
  }
}

// Null: there is no room for it.
TlsReport::Counts* TlsReport::find_or_add(OneDay& day, std::string_view domain, const ReportedPolicy& policy) {
  auto found = day.domains.find(domain);
  const bool is_new = found == day.domains.end();
  if (is_new) {
    if (day.domains.size() >= max_domains) return nullptr;
    found = day.domains.emplace(std::string(domain), Domain{}).first;
  }
  auto& policies = found->second.policies;
  if (const auto known = policies.find(policy); known != policies.end()) return &known->second;
  const std::size_t octets = map_node + octets_of(policy) + (is_new ? map_node + octets_of(domain) : 0);
  if (policies.size() < max_policies && take(day, found->second, octets)) return &policies[policy];
  if (is_new) day.domains.erase(found);
  return nullptr;
}

bool TlsReport::take(OneDay& day, Domain& domain, std::size_t octets) {
  if (day.octets + octets > max_octets || domain.octets + octets > max_domain_octets) return false;
  day.octets += octets;
  domain.octets += octets;
  return true;
}

TlsReport::LeftOut TlsReport::left_out(Day day) const {
  const auto found = days_.find(day);
  return found != days_.end() ? found->second.left_out : LeftOut{};
}

std::vector<std::string> TlsReport::domains(Day day) const {
  std::vector<std::string> names;
  const auto found = days_.find(day);
  if (found == days_.end()) return names;
  for (const auto& [domain, counted] : found->second.domains) names.push_back(domain);
  return names;
}

void TlsReport::forget_before(Day day) {
  days_.erase(days_.begin(), days_.lower_bound(day));
}

void TlsReport::print_detail(wire::JsonWriter& json, const Detail& detail, std::uint64_t count) {
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

void TlsReport::print_policy(wire::JsonWriter& json, std::string_view domain, const ReportedPolicy& policy,
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
  const auto found = days_.find(day);
  if (found == days_.end()) return {};
  const auto counted = found->second.domains.find(domain);
  if (counted == found->second.domains.end()) return {};

  wire::JsonWriter json;
  json.begin_object();
  json.value("organization-name", reporter.organization);
  json.begin_object("date-range");
  json.value("start-datetime", date(day) + "T00:00:00Z");
  json.value("end-datetime", date(day) + "T23:59:59Z");
  json.end_object();
  json.value("contact-info", reporter.contact);
  json.value("report-id", report_id(reporter, domain, day));
  json.begin_array("policies");
  for (const auto& [policy, counts] : counted->second.policies) print_policy(json, domain, policy, counts);
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
