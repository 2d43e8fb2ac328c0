// What a domain says about TLS to its mail hosts by MTA-STS (RFC 8461): the TXT record and the policy text. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"

namespace postern::policy {

// "_mta-sts.example.org", where the record is; "mta-sts.example.org", where the policy is, at `mta_sts_path`.
std::string mta_sts_record_name(std::string_view domain);
std::string mta_sts_policy_host(std::string_view domain);
inline constexpr std::string_view mta_sts_path = "/.well-known/mta-sts.txt";

// The id of the policy, from all TXT records of that name (RFC 8461 3.1), each with its strings joined.
// Errc::not_found: none begins with "v=STSv1"; Errc::protocol: more than one does, or it is malformed. Either way there
// is no new policy.
Result<std::string> parse_mta_sts_record(std::span<const std::string> txt_records);

enum class MtaStsMode : std::uint8_t { none, testing, enforce };
std::string_view to_string(MtaStsMode mode);

struct MtaStsPolicy {
  MtaStsMode mode = MtaStsMode::none;
  std::chrono::seconds max_age{0};
  std::vector<std::string> mx;  // lower case; "mx.example.org" or "*.example.org"
  bool operator==(const MtaStsPolicy&) const = default;
};

inline constexpr std::size_t max_mta_sts_policy = 64 * 1024;
inline constexpr std::chrono::seconds max_mta_sts_age{31557600};

// The policy file (RFC 8461 3.2): "key: value" lines, LF or CRLF, the first of duplicate keys counts except for mx,
// keys not known and lines that are no field are passed over. A policy that demands but names no valid mx is invalid,
// not empty. A max_age of 0 ends what was in force before; one above the limit is the limit.
Result<MtaStsPolicy> parse_mta_sts_policy(std::string_view text);
// The same text again, for the cache and for reports.
std::string to_string(const MtaStsPolicy& policy);
// Each line of it, as TLSRPT's policy-string wants them.
std::vector<std::string> policy_strings(const MtaStsPolicy& policy);

// The MX host is one of those that the policy lists (RFC 8461 4.1): a wildcard covers exactly one leftmost label. This
// checks the MX name only; the certificate must name the MX host itself, never a pattern.
bool lists_host(const MtaStsPolicy& policy, std::string_view mx_host);

}  // namespace postern::policy
