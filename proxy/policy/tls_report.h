// TLSRPT counting (RFC 8460): how sessions with a domain's hosts fared under its policies, by UTC day. Counts sessions,
// not messages. Pure; sending the reports is another matter.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/policy/decision.h"
#include "proxy/policy/report_types.h"

namespace postern::wire {
class JsonWriter;
}

namespace postern::policy {

using Day = std::chrono::sys_days;

// The policy as the receiver published it.
struct ReportedPolicy {
  ReportPolicy type = ReportPolicy::no_policy_found;
  std::vector<std::string> text;      // policy-string: TLSA records, or the lines of the MTA-STS policy
  std::vector<std::string> mx_hosts;  // mx-host: the patterns of an MTA-STS policy
  auto operator<=>(const ReportedPolicy&) const = default;
};

// What the domain published for each of the rows in verdict.reports. `tlsa`: of the host in question.
std::vector<ReportedPolicy> published(const Verdict& verdict, const std::vector<tls::TlsaRecord>& tlsa,
                                      const MtaStsFacts& mta_sts);

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
  // What the bounds below kept out of a day's reports.
  struct LeftOut {
    std::uint64_t sessions = 0;  // not counted at all, for a domain or a policy too many
    std::uint64_t details = 0;   // failures that are counted, without their details
    std::uint64_t strings = 0;   // of policies that are too long
    bool operator==(const LeftOut&) const = default;
  };

  // Counts one session's outcome under one policy; `row.policy` must be `policy.type`. What the network says has no say
  // in how much memory that takes: see the bounds. What is known already is counted however full it is. Policies that
  // differ in nothing but strings left out are counted as one.
  void count(Day day, std::string_view domain, const ReportedPolicy& policy, const ReportRow& row,
             const ReportedSession& session);

  std::vector<std::string> domains(Day day) const;
  // The report of one domain and day as JSON (RFC 8460 4.4), with every field that consumers expect, whether empty or
  // not. Empty text: nothing was counted.
  std::string to_json(Day day, std::string_view domain, const Reporter& reporter) const;
  LeftOut left_out(Day day) const;
  void forget_before(Day day);

  static constexpr std::size_t max_domains = 10000;  // a day
  static constexpr std::size_t max_policies = 20;    // a domain and day: policies change, and not that often
  static constexpr std::size_t max_details = 200;    // a policy
  // The same in octets of memory. Usual policies and failures take some hundred.
  static constexpr std::size_t max_policy_octets = 8 * 1024;
  static constexpr std::size_t max_domain_octets = 64 * 1024;  // a day
  static constexpr std::size_t max_octets = 8 * 1024 * 1024;   // a day

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
  struct Domain {
    std::map<ReportedPolicy, Counts> policies;
    std::size_t octets = 0;
  };
  struct OneDay {
    std::map<std::string, Domain, std::less<>> domains;
    std::size_t octets = 0;
    LeftOut left_out;
  };

  static Counts* find_or_add(OneDay& day, std::string_view domain, const ReportedPolicy& policy);
  static bool take(OneDay& day, Domain& domain, std::size_t octets);
  static void print_policy(wire::JsonWriter& json, std::string_view domain, const ReportedPolicy& policy,
                           const Counts& counts);
  static void print_detail(wire::JsonWriter& json, const Detail& detail, std::uint64_t count);

  std::map<Day, OneDay> days_;
};

// "example.com!example.org!1767225600!1767311999.json": sender, policy domain, begin and end of the day (RFC 8460 5.1).
std::string report_file_name(const Reporter& reporter, std::string_view domain, Day day);
// "2026-01-01T00:00:00Z_example.org@example.com"
std::string report_id(const Reporter& reporter, std::string_view domain, Day day);

}  // namespace postern::policy
