#include "proxy/smtp/relay_guard.h"

#include <algorithm>
#include <cstddef>

#include "proxy/smtp/octets.h"

namespace postern::smtp {

namespace {

using Domains = std::vector<config::DomainPattern>;

// Labels that are not empty.
bool is_domain_name(std::string_view domain) {
  return !domain.empty() && domain.size() <= longest_domain && domain.front() != '.' && domain.back() != '.' &&
         domain.find("..") == std::string_view::npos && std::all_of(domain.begin(), domain.end(), is_domain_octet);
}

// Address literals and UTF-8 names have to be listed as they stand: no pattern for subdomains speaks for them.
bool domain_allowed(std::string_view domain, const Domains& domains) {
  const bool is_literal = domain.starts_with('[');
  if (!is_literal && domain.ends_with('.')) domain.remove_suffix(1);
  if (!is_literal && !is_domain_name(domain)) return false;
  const bool is_utf8 = std::any_of(domain.begin(), domain.end(), is_8bit);
  return std::any_of(domains.begin(), domains.end(), [&](const config::DomainPattern& pattern) {
    if (is_literal) return same_ignoring_case(pattern.text, domain);
    if (is_utf8) return pattern.text == "*" || same_ignoring_case(pattern.text, domain);
    return config::matches(pattern, domain);
  });
}

// RFC 5321 Atom and Dot-string with UTF-8 (RFC 6531), without the octets that route: '%' and '!'.
bool is_plain_local_part(std::string_view local_part) {
  return !local_part.empty() && std::all_of(local_part.begin(), local_part.end(), [](char octet) {
    return is_alphanumeric(octet) || is_8bit(octet) || is_one_of(octet, ".#$&'*+-/=?^_`{|}~");
  });
}

// A quoted string may hold blanks and specials, but a server takes the quotes off before it looks for detours.
bool is_quoted_local_part(std::string_view local_part) {
  if (local_part.size() < 2 || local_part.front() != '"' || local_part.back() != '"') return false;
  local_part = local_part.substr(1, local_part.size() - 2);
  bool escaped = false;
  for (const char octet : local_part) {
    if (is_control(octet) || is_one_of(octet, "@%!")) return false;
    if (octet == '"' && !escaped) return false;
    escaped = octet == '\\' && !escaped;
  }
  return !escaped && !local_part.empty();
}

bool mailbox_allowed(std::string_view mailbox, const Domains& domains) {
  const std::size_t at = mailbox.rfind('@');
  if (at == std::string_view::npos) return false;
  const std::string_view local_part = mailbox.substr(0, at);
  return (is_plain_local_part(local_part) || is_quoted_local_part(local_part)) &&
         domain_allowed(mailbox.substr(at + 1), domains);
}

// "@a,@b": every hop would be handed the mail.
bool route_allowed(std::string_view route, const Domains& domains) {
  while (true) {
    if (!route.starts_with('@')) return false;
    const std::size_t comma = std::min(route.find(','), route.size());
    if (!domain_allowed(route.substr(1, comma - 1), domains)) return false;
    if (comma == route.size()) return true;
    route.remove_prefix(comma + 1);
  }
}

}  // namespace

bool recipient_allowed(std::string_view path, const Domains& domains) {
  if (same_ignoring_case(path, "postmaster")) return true;
  if (!path.starts_with('@')) return mailbox_allowed(path, domains);
  const std::size_t colon = path.find(':');
  if (colon == std::string_view::npos) return false;
  return route_allowed(path.substr(0, colon), domains) && mailbox_allowed(path.substr(colon + 1), domains);
}

}  // namespace postern::smtp
