// Text and times out of certificates.
#pragma once

#include <openssl/base.h>

#include <chrono>
#include <string>

#include "config/result.h"

namespace postern::tls {

// One certificate and nothing behind it; null where it does not parse.
bssl::UniquePtr<X509> parse_certificate(const std::string& der);

std::string subject_of(const X509& certificate);      // RFC 2253
std::string issuer_of(const X509& certificate);       // RFC 2253
std::string common_name_of(const X509& certificate);  // UTF-8, the last (most specific) one; empty: none

// Certificates have times from year 0 to 9999; seconds hold them all.
std::chrono::sys_seconds to_time(const ASN1_TIME& time);
std::string to_date(std::chrono::sys_seconds time);  // "2026-01-31"

}  // namespace postern::tls
