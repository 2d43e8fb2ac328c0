#include "tls/x509_text.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/x509.h>

#include <cstdio>

#include "config/assert.h"

namespace postern::tls {

namespace {

std::string to_text(const X509_NAME* name) {
  const bssl::UniquePtr<BIO> text(BIO_new(BIO_s_mem()));
  POSTERN_ASSERT(text != nullptr, "out of memory");
  // ~ESC_MSB: people read "Münster", not "M\C3\BCnster".
  constexpr unsigned long flags = XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  X509_NAME_print_ex(text.get(), name, 0, flags);
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
  return BIO_mem_contents(text.get(), &data, &size) == 1 ? std::string(data, data + size) : std::string();
}

}  // namespace

std::string subject_of(const X509& certificate) {
  return to_text(X509_get_subject_name(&certificate));
}

std::string issuer_of(const X509& certificate) {
  return to_text(X509_get_issuer_name(&certificate));
}

std::string common_name_of(const X509& certificate) {
  const auto* name = X509_get_subject_name(&certificate);
  int found = -1;
  for (int next = X509_NAME_get_index_by_NID(name, NID_commonName, -1); next >= 0;
       next = X509_NAME_get_index_by_NID(name, NID_commonName, next)) {
    found = next;
  }
  if (found < 0) return {};
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, found)));
  if (size < 0) return {};
  const bssl::UniquePtr<unsigned char> owned(utf8);
  return {utf8, utf8 + size};
}

std::chrono::sys_seconds to_time(const ASN1_TIME& time) {
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  POSTERN_ASSERT(epoch != nullptr, "out of memory");
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, epoch.get(), &time) != 1) {
    return {};  // a time that cannot be read has long passed
  }
  return std::chrono::sys_seconds(std::chrono::days(days) + std::chrono::seconds(seconds));
}

std::string to_date(std::chrono::sys_seconds time) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()));
  return text;
}

bssl::UniquePtr<X509> parse_certificate(const std::string& der) {
  const auto* data = reinterpret_cast<const unsigned char*>(der.data());
  const auto* const end = data + der.size();
  bssl::UniquePtr<X509> certificate(d2i_X509(nullptr, &data, static_cast<long>(der.size())));
  ERR_clear_error();
  return data == end ? std::move(certificate) : nullptr;
}

}  // namespace postern::tls
