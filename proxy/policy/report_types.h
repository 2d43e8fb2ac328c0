// The words of TLSRPT (RFC 8460 4.2, 4.3) that decisions and counting share.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::policy {

enum class ReportPolicy : std::uint8_t { tlsa, sts, no_policy_found };
std::string_view to_string(ReportPolicy policy);  // "no-policy-found"

enum class ReportResult : std::uint8_t {
  starttls_not_supported,
  certificate_host_mismatch,
  certificate_expired,
  certificate_not_trusted,
  validation_failure,
  tlsa_invalid,
  dnssec_invalid,
  dane_required,
  sts_policy_fetch_error,
  sts_policy_invalid,
  sts_webpki_invalid,
};
std::string_view to_string(ReportResult result);  // "certificate-host-mismatch"

// How one session counts toward one policy.
struct ReportRow {
  ReportPolicy policy = ReportPolicy::no_policy_found;
  std::optional<ReportResult> failure;  // none: a success
  bool operator==(const ReportRow&) const = default;
};

}  // namespace postern::policy
