// What sessions run on: settings and TLS contexts, immutable. A session keeps the one that it started with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/load.h"
#include "proxy/dns/trust_anchor.h"
#include "proxy/net/own_connections.h"
#include "proxy/policy/mta_sts_store.h"
#include "tls/contexts.h"

namespace postern {

struct Runtime {
  config::Settings settings;
  std::shared_ptr<const tls::Contexts> contexts;
  std::string hostname;
  dns::TrustAnchor trust_anchor;  // what was in dns.trust_anchor; empty: nothing is ever secure
  // For each of settings.outbound. Those that trust the same CAs share one: what one's CAs have vouched for is nothing
  // to another's. Thread-safe.
  std::vector<std::shared_ptr<policy::MtaStsStore>> mta_sts;
  std::shared_ptr<net::OwnConnections> own_connections;  // null where no listener intercepts; thread-safe
};

}  // namespace postern
