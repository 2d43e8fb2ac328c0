#include "tls/verify_name.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

#include "config/text.h"
#include "config/values.h"
#include "tls/x509_text.h"

namespace postern::tls {

namespace {

struct FreeGeneralNames {
  void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
};

bool is_plain_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

bool name_matches(std::string_view presented, std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (!config::is_host_name(host)) return false;
  if (!presented.starts_with("*.")) return config::same_ignoring_case(presented, host);

  const std::string_view suffix = presented.substr(2);
  const std::size_t dot = host.find('.');
  if (suffix.find('.') == std::string_view::npos || dot == std::string_view::npos) return false;
  return config::same_ignoring_case(suffix, host.substr(dot + 1));
}

bool names_host(std::span<const std::string> presented, std::string_view host) {
  return std::any_of(presented.begin(), presented.end(),
                     [host](const std::string& name) { return name_matches(name, host); });
}

std::vector<std::string> certificate_dns_names(const X509& certificate) {
  std::vector<std::string> found;
  const std::unique_ptr<GENERAL_NAMES, FreeGeneralNames> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names) return found;
  for (std::size_t i = 0; i < sk_GENERAL_NAME_num(names.get()) && found.size() < max_certificate_names; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
    const std::string_view text(bytes, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    if (is_plain_ascii(text)) found.emplace_back(text);
  }
  return found;
}

std::string why_nameless(const X509& certificate) {
  if (!certificate_dns_names(certificate).empty()) return {};
  if (X509_get_ext_by_NID(&certificate, NID_subject_alt_name, -1) >= 0) return ": its subjectAltName has no DNS name";
  const std::string common_name = common_name_of(certificate);
  if (common_name.empty()) return ": it has no name at all";
  // What is no host name stays away from replies and logs; it need not be told, either.
  return ": it has a common name only" +
         (config::is_host_name(common_name) ? " (" + common_name + ")" : std::string()) +
         ", and no subjectAltName, without which no name counts (RFC 9525)";
}

}  // namespace postern::tls
