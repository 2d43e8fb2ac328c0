#include "proxy/policy/policy_table.h"

#include <algorithm>
#include <string>

#include "config/text.h"

namespace postern::policy {

namespace {

std::string from_hexadecimal(std::string_view digits) {
  using config::hex_value;
  std::string octets;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    octets += static_cast<char>(hex_value(digits[i]) * 16 + hex_value(digits[i + 1]));
  }
  return octets;
}

// On a port where TLS comes first there is no plaintext to fall back to; and our credentials never leave in plaintext,
// nor mail without them.
Level possible_at(const config::OutboundListener& listener, Level level) {
  const auto& relay = listener.relay;
  const bool needs_tls =
      listener.route == config::OutboundRoute::relay && (relay.mode == config::TlsMode::implicit || relay.auth);
  return needs_tls && !row_of(level).encrypts ? Level::encrypt : level;
}

LocalPolicy local_policy(const config::OutboundListener& listener, Level level) {
  LocalPolicy local;
  local.level = possible_at(listener, level);
  local.dane = listener.dane || row_of(level).wants_dane();
  local.mta_sts = listener.mta_sts;
  local.observe = listener.enforcement == config::Enforcement::observe;
  return local;
}

}  // namespace

PolicyTable::PolicyTable(const config::OutboundListener& listener, const config::TlsSettings& tls)
    : to_relay_(listener.route == config::OutboundRoute::relay) {
  for (const config::OutboundPolicy& policy : listener.policies) {
    Row& row = rows_.emplace_back();
    row.number = rows_.size() - 1;
    row.match = policy.match;
    row.local = local_policy(listener, policy.level.value_or(listener.level));
    row.local.names = policy.names;
    for (const std::string& digits : policy.fingerprints) row.local.fingerprints.push_back(from_hexadecimal(digits));
    row.min_version = policy.min_version.value_or(tls.min_version);
    row.max_version = policy.max_version.value_or(tls.max_version);
    row.own_groups = !policy.groups.empty();
  }
  Row own;
  own.local = local_policy(listener, listener.level);
  own.min_version = tls.min_version;
  own.max_version = tls.max_version;
  opening_ = own;
  opening_.local = {};
  opening_.local.dane = opening_.local.mta_sts = false;
  opening_.local.level = possible_at(listener, row_of(listener.level).uses_tls ? Level::may : listener.level);
  rows_.push_back(std::move(own));
}

const PolicyTable::Row& PolicyTable::row_for(std::string_view domain) const {
  const auto matches = [domain](const config::DomainPattern& pattern) { return config::matches(pattern, domain); };
  const auto found =
      std::ranges::find_if(rows_, [&](const Row& row) { return std::ranges::any_of(row.match, matches); });
  return found == rows_.end() ? listener() : *found;
}

bool PolicyTable::wants_mta_sts() const {
  return std::ranges::any_of(rows_, [](const Row& row) { return row.local.wants_mta_sts(); });
}

std::optional<Blocker> PolicyTable::blocker_of(const Route& route) const {
  auto blocker = policy::blocker_of(route);
  if (blocker && to_relay_ && blocker->reply != Reply::dns_failed) blocker->reply = Reply::unreachable;
  return blocker;
}

}  // namespace postern::policy
