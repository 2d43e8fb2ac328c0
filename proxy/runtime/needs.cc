#include "proxy/runtime/needs.h"

#include <algorithm>

#include "config/files.h"
#include "config/levels.h"

namespace postern::runtime {

namespace {

bool wants_dane(const config::OutboundListener& listener) {
  const auto by_level = [](config::TlsLevel level) { return config::row_of(level).wants_dane(); };
  return listener.dane || by_level(listener.level) || std::ranges::any_of(listener.policies, [&](const auto& policy) {
           return policy.level && by_level(*policy.level);
         });
}

void add(const config::InboundListener& listener, Needs& needs) {
  needs.foreign_addresses |= listener.backend.client_address == config::ClientAddress::transparent;
  needs.programs |= !listener.backend.exec.empty();
  needs.resolver |= std::ranges::any_of(
      listener.backend.addresses, [](const auto& address) { return address.kind == config::Endpoint::Kind::name; });
}

void add(const config::OutboundListener& listener, Needs& needs) {
  needs.resolver = needs.trust_anchor = true;
  needs.dane |= wants_dane(listener);
  needs.own_connections |= listener.route == config::OutboundRoute::original_destination;
  needs.foreign_addresses |= is_transparent(listener) || listener.source == config::OutboundSource::client;
  needs.socket_marks |= listener.socket_mark != 0;
}

}  // namespace

bool is_transparent(const config::OutboundListener& listener) {
  return listener.route == config::OutboundRoute::original_destination &&
         listener.interception == config::Interception::tproxy;
}

Needs needs(const config::Settings& settings) {
  Needs needs;
  for (const auto& listener : settings.inbound) add(listener, needs);
  for (const auto& listener : settings.outbound) add(listener, needs);
  needs.guard = std::ranges::any_of(
      settings.inbound, [&settings](const auto& listener) { return config::is_guarded(listener, settings); });
  needs.trust_anchor |= needs.guard;
  needs.system_authorities = config::uses_system_authorities(settings);
  needs.state_directory = !settings.outbound.empty() && !settings.state_directory.empty();
  return needs;
}

}  // namespace postern::runtime
