// What the operator demands of remote servers: a listener, and the row of its `policies` for a recipient's domain.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "config/settings.h"
#include "proxy/policy/decision.h"
#include "proxy/policy/route.h"

namespace postern::outbound {

// On a port where TLS comes first there is no plaintext to fall back to; and our credentials never leave in plaintext,
// nor mail without them.
policy::Level demand_for(const config::OutboundListener& listener, policy::Level level);

// The first row of `policies` that matches the recipient's domain, and what it makes of the listener's demands.
std::optional<std::size_t> policy_row_for(const config::OutboundListener& listener, const std::string& domain);
policy::LocalPolicy local_policy(const config::OutboundListener& listener, std::optional<std::size_t> row);

// Why a route leads nowhere, with the reply that the client gets. A relay that cannot be found is the operator's
// mistake, not the recipient's: never permanent.
std::optional<policy::Refusal> route_refusal(const config::OutboundListener& listener, const policy::Route& route);

// The TLS versions for a row of `policies`, or without one.
struct VersionRange {
  config::TlsVersion min, max;
};
VersionRange versions_for(const config::OutboundListener& listener, const config::TlsSettings& tls,
                          std::optional<std::size_t> row);

}  // namespace postern::outbound
