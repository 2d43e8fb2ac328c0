// Do these TLSA records match that certificate chain (RFC 7671, 7672 3)? No Web-PKI store is ever asked.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tls/tlsa.h"

struct stack_st_X509;

namespace postern::tls {

enum class DaneOutcome : std::uint8_t {
  not_checked,
  matched,
  no_usable_record,  // RFC 7672 2.2: TLS is then mandatory, but unauthenticated
  no_certificate,    // the peer showed none
  no_match,          // no record selects any certificate of the chain
  not_trusted,       // a DANE-TA record fits, but the chain does not lead to it
  expired,           // likewise, and a certificate on the way is not valid now
  name_mismatch,     // the chain leads to a DANE-TA record, but the certificate has none of the names
};
std::string_view to_string(DaneOutcome outcome);

struct DaneResult {
  DaneOutcome outcome = DaneOutcome::not_checked;
  std::optional<std::size_t> record;  // which one matched, an index into the records given
  std::string reason;                 // for people; never empty
};

// At least one record can be used at all.
bool any_usable(std::span<const TlsaRecord> records);

// The indices of the records that count: usable, and no digest of which a stronger one is published for the same usage
// and selector (digest agility, RFC 7671 9). At most `max_tlsa_records` of them.
inline constexpr std::size_t max_tlsa_records = 64;
std::vector<std::size_t> effective_records(std::span<const TlsaRecord> records);

// `chain` is what the peer sent, its own certificate first; null or empty: none. Any one record suffices.
// DANE-EE(3): the leaf fits; its names, validity and issuer do not matter. DANE-TA(2): the chain leads to a certificate
// or key that fits (one beyond the leaf in `chain`, or the record's own where it holds it whole), all are valid at
// `now`, and the leaf names one of `reference_names` (TLSA base domain, next-hop domain).
DaneResult verify_dane(std::span<const TlsaRecord> records, const stack_st_X509* chain,
                       std::span<const std::string> reference_names, std::time_t now);

}  // namespace postern::tls
