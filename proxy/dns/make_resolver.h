// The resolver that the operator's `dns` section describes.
#pragma once

#include <uv.h>

#include <memory>

#include "config/result.h"
#include "config/values.h"
#include "proxy/dns/name_servers.h"
#include "proxy/dns/resolver.h"
#include "proxy/dns/trust_anchor.h"

namespace postern::dns {

// Fails where a server or a record of the trust anchor is wrong; Errc::unsupported: this build has no libunbound. An
// empty `anchor`: nothing is ever secure. It belongs to the loop's thread once that has started; the loop must turn
// once more after its end. `timeout` is for a whole lookup, validation included.
Result<std::unique_ptr<Resolver>> make_resolver(uv_loop_t* loop, const NameServers& servers, const TrustAnchor& anchor,
                                                config::Duration timeout = std::chrono::seconds(10));

}  // namespace postern::dns
