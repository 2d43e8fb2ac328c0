#include "proxy/outbound/listener_demand.h"

#include <algorithm>

namespace postern::outbound {

using config::OutboundRoute;
using policy::Level;

namespace {

std::string from_hexadecimal(std::string_view digits) {
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10; };
  std::string octets;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    octets += static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1]));
  }
  return octets;
}

}  // namespace

Level demand_for(const config::OutboundListener& listener, Level level) {
  const bool to_relay = listener.route == OutboundRoute::relay;
  const bool needs_tls = to_relay && (listener.relay.mode == config::TlsMode::implicit || listener.relay.auth);
  const bool allows_plaintext = level == Level::none || level == Level::may || level == Level::dane;
  return needs_tls && allows_plaintext ? Level::encrypt : level;
}

std::optional<std::size_t> policy_row_for(const config::OutboundListener& listener, const std::string& domain) {
  for (std::size_t row = 0; row < listener.policies.size(); ++row) {
    const auto& patterns = listener.policies[row].match;
    if (std::ranges::any_of(patterns, [&](const auto& pattern) { return config::matches(pattern, domain); }))
      return row;
  }
  return std::nullopt;
}

policy::LocalPolicy local_policy(const config::OutboundListener& listener, std::optional<std::size_t> row) {
  policy::LocalPolicy local;
  const Level level = row ? listener.policies[*row].level.value_or(listener.level) : listener.level;
  local.level = demand_for(listener, level);
  local.dane = listener.dane || level == Level::dane;
  local.mta_sts = listener.mta_sts;
  local.observe = listener.enforcement == config::Enforcement::observe;
  if (!row) return local;
  local.names = listener.policies[*row].names;
  for (const std::string& digits : listener.policies[*row].fingerprints) {
    local.fingerprints.push_back(from_hexadecimal(digits));
  }
  return local;
}

std::optional<policy::Refusal> route_refusal(const config::OutboundListener& listener, const policy::Route& route) {
  auto refusal = policy::refusal_of(route);
  const bool to_relay = listener.route == OutboundRoute::relay;
  if (refusal && to_relay && refusal->reply != policy::Reply::dns_failed) refusal->reply = policy::Reply::unreachable;
  return refusal;
}

VersionRange versions_for(const config::OutboundListener& listener, const config::TlsSettings& tls,
                          std::optional<std::size_t> row) {
  VersionRange range{tls.min_version, tls.max_version};
  if (!row) return range;
  const auto& policy = listener.policies[*row];
  return {policy.min_version.value_or(range.min), policy.max_version.value_or(range.max)};
}

}  // namespace postern::outbound
