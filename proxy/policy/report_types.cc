#include "proxy/policy/report_types.h"

namespace postern::policy {

std::string_view to_string(ReportPolicy policy) {
  switch (policy) {
    case ReportPolicy::tlsa: return "tlsa";
    case ReportPolicy::sts: return "sts";
    case ReportPolicy::no_policy_found: return "no-policy-found";
  }
  return "unknown";
}

std::string_view to_string(ReportResult result) {
  switch (result) {
    case ReportResult::starttls_not_supported: return "starttls-not-supported";
    case ReportResult::certificate_host_mismatch: return "certificate-host-mismatch";
    case ReportResult::certificate_expired: return "certificate-expired";
    case ReportResult::certificate_not_trusted: return "certificate-not-trusted";
    case ReportResult::validation_failure: return "validation-failure";
    case ReportResult::tlsa_invalid: return "tlsa-invalid";
    case ReportResult::dnssec_invalid: return "dnssec-invalid";
    case ReportResult::dane_required: return "dane-required";
    case ReportResult::sts_policy_fetch_error: return "sts-policy-fetch-error";
    case ReportResult::sts_policy_invalid: return "sts-policy-invalid";
    case ReportResult::sts_webpki_invalid: return "sts-webpki-invalid";
  }
  return "unknown";
}

}  // namespace postern::policy
