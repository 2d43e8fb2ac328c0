// What a configuration counts on that is not in it: the user we are, programs, names in DNS. All of it may be put right
// while the gateway runs, so none of it is more than a warning.
#pragma once

#include "config/load.h"
#include "proxy/dns/name_servers.h"
#include "proxy/dns/trust_anchor.h"

namespace postern::runtime {

// Root that stays root.
void check_root(config::Loaded& loaded);

// Programs of `exec` that are not there, or that the user of the configuration may not run; and whether those that are
// set-user-ID can work at all.
void check_programs(config::Loaded& loaded);

// Names of backends that have no address. Asks the system, by a resolver of its own, for five seconds at most.
void check_backend_names(config::Loaded& loaded);

// Names of relays that have none, by the resolver that outbound sessions use; likewise for five seconds at most.
void check_relay_names(config::Loaded& loaded, const dns::NameServers& servers, const dns::TrustAnchor& anchor);

}  // namespace postern::runtime
