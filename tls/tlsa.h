// One TLSA record (RFC 6698, 7671): parse, print, compute, and compare with a certificate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"

typedef struct x509_st X509;

namespace postern::tls {

struct TlsaRecord {
  // The values are numbers off the wire and may be any; these are those that SMTP can use.
  static constexpr std::uint8_t dane_ta = 2, dane_ee = 3;               // usage
  static constexpr std::uint8_t certificate = 0, public_key = 1;        // selector
  static constexpr std::uint8_t exact = 0, sha2_256 = 1, sha2_512 = 2;  // matching type

  std::uint8_t usage = dane_ee;
  std::uint8_t selector = public_key;
  std::uint8_t matching_type = sha2_256;
  std::string data;  // octets
  auto operator<=>(const TlsaRecord&) const = default;
};

// From the record's RDATA in DNS; fails only where it is shorter than its three numbers.
Result<TlsaRecord> parse_tlsa_rdata(std::string_view rdata);
// "3 1 1 ab12…", the digits in either case and in any number of groups, as in a zone file.
Result<TlsaRecord> parse_tlsa_text(std::string_view text);
// "3 1 1 ab12…", lower case, one group.
std::string to_string(const TlsaRecord& record);

// Why SMTP cannot use the record (RFC 7672 3.1), as a sentence in static storage; nothing if it can. Usages 0 and 1,
// unknown numbers, digests of the wrong length, and whole certificates or keys that do not parse are unusable.
std::optional<std::string_view> why_unusable(const TlsaRecord& record);

// What the record of this selector and matching type holds for the certificate.
Result<TlsaRecord> make_tlsa(const X509& certificate, std::uint8_t usage, std::uint8_t selector,
                             std::uint8_t matching_type);

// The record's selector and data fit this certificate. Says nothing of usage, chain or names: verify_dane does.
bool selects(const TlsaRecord& record, const X509& certificate);

// DER of the certificate, and of its SubjectPublicKeyInfo as it stands in it; empty if the library fails.
std::string certificate_der(const X509& certificate);
std::string public_key_der(const X509& certificate);

std::string sha256(std::string_view octets);
std::string sha512(std::string_view octets);

}  // namespace postern::tls
