// What sessions run on: settings and TLS contexts, immutable. A session keeps the one that it started with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/load.h"
#include "proxy/dns/fitness.h"
#include "proxy/dns/name_servers.h"
#include "proxy/dns/trust_anchor.h"
#include "proxy/net/own_connections.h"
#include "proxy/policy/mta_sts_store.h"
#include "proxy/policy/policy_table.h"
#include "tls/contexts.h"

namespace postern::runtime {

struct Runtime {
  config::Settings settings;
  std::shared_ptr<const tls::Contexts> contexts;
  std::string hostname;
  dns::TrustAnchor trust_anchor;  // what was in dns.trust_anchor; empty: nothing is ever secure
  dns::NameServers name_servers;  // as they were found at the start
  std::shared_ptr<dns::FitnessState> fitness = std::make_shared<dns::FitnessState>();  // thread-safe
  std::vector<policy::PolicyTable> policies;                                           // for each of settings.outbound
  // For each of settings.outbound. Those that trust the same CAs share one: what one's CAs have vouched for is nothing
  // to another's. Thread-safe.
  std::vector<std::shared_ptr<policy::MtaStsStore>> mta_sts;
  std::shared_ptr<net::OwnConnections> own_connections;  // null where no listener intercepts; thread-safe
};

// Runtime::mta_sts: what the state directory says of MTA-STS policies. Listeners share a store by what they say in
// `ca_file`, not by what is in it, so that another CA in the file makes nobody forget. That of `system` is the
// directory itself; others have a folder below it, made with the first policy and so by the user that Postern runs as.
// What cannot be read or written is logged. Those that `previous` (or null) had live on.
std::vector<std::shared_ptr<policy::MtaStsStore>> open_mta_sts_stores(const config::Settings& settings,
                                                                      policy::MtaStsStore::Access access,
                                                                      const Runtime* previous = nullptr);

struct Prepared;  // preflight.h

// The one place where a configuration that was found good becomes something that runs. What outlives a snapshot is
// taken over from `previous` (or null): stores of MTA-STS policies, the connections of our own, how fit the name
// servers are. Reads MTA-STS policies from the state directory; what cannot be read is logged. prepared.contexts is not
// null.
std::shared_ptr<Runtime> make_runtime(Prepared prepared, policy::MtaStsStore::Access access,
                                      const Runtime* previous = nullptr);

}  // namespace postern::runtime
