// TLSRPT counting (RFC 8460): how sessions with a domain's hosts fared under its policies, by UTC day. Counts sessions,
// not messages. Pure; sending the reports is another matter.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/policy/report_types.h"

namespace postern::policy {

using Day = std::chrono::sys_days;

// The policy as the receiver published it.
struct ReportedPolicy {
  ReportPolicy type = ReportPolicy::no_policy_found;
  std::vector<std::string> text;      // policy-string: TLSA records, or the lines of the MTA-STS policy
  std::vector<std::string> mx_hosts;  // mx-host: the patterns of an MTA-STS policy
  auto operator<=>(const ReportedPolicy&) const = default;
};

// Who met whom, for the details of failures.
struct ReportedSession {
  std::string sending_ip;
  std::string mx_host;
  std::string mx_helo;       // empty: not known
  std::string receiving_ip;  // empty: never connected
  std::string additional;    // for people
  std::string reason_code;   // failure-reason-code, free text
  auto operator<=>(const ReportedSession&) const = default;
};

struct Reporter {
  std::string organization;  // "example.com"
  std::string contact;       // "postmaster@example.com"
  std::string domain;        // the sender's, for the report's id and file name
};

class TlsReport {
 public:
  // Counts one session's outcome under one policy; `row.policy` must be `policy.type`. Beyond the bounds, failures are
  // still counted, without their details; domains beyond theirs are not.
  void count(Day day, std::string_view domain, const ReportedPolicy& policy, const ReportRow& row,
             const ReportedSession& session);

  std::vector<std::string> domains(Day day) const;
  // The report of one domain and day as JSON (RFC 8460 4.4), with every field that consumers expect, whether empty or
  // not. Empty text: nothing was counted.
  std::string to_json(Day day, std::string_view domain, const Reporter& reporter) const;
  void forget_before(Day day);

  static constexpr std::size_t max_domains = 10000;  // a day
  static constexpr std::size_t max_policies = 20;    // a domain and day: policies change, and not that often
  static constexpr std::size_t max_details = 200;    // a policy

 private:
  struct Detail {
    ReportResult result;
    ReportedSession session;
    auto operator<=>(const Detail&) const = default;
  };
  struct Counts {
    std::uint64_t successes = 0;
    std::uint64_t failures = 0;
    std::map<Detail, std::uint64_t> details;
  };
  using Policies = std::map<ReportedPolicy, Counts>;

  static void print_policy(class JsonWriter& json, std::string_view domain, const ReportedPolicy& policy,
                           const Counts& counts);
  static void print_detail(class JsonWriter& json, const Detail& detail, std::uint64_t count);

  std::map<Day, std::map<std::string, Policies, std::less<>>> days_;
};

// "example.com!example.org!1767225600!1767311999.json": sender, policy domain, begin and end of the day (RFC 8460 5.1).
std::string report_file_name(const Reporter& reporter, std::string_view domain, Day day);
// "2026-01-01T00:00:00Z_example.org@example.com"
std::string report_id(const Reporter& reporter, std::string_view domain, Day day);

}  // namespace postern::policy
