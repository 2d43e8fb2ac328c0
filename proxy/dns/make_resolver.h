// The resolver that the operator's `dns` section describes.
#pragma once

#include <uv.h>

#include <memory>

#include "config/result.h"
#include "config/settings.h"
#include "proxy/dns/resolver.h"
#include "proxy/dns/trust_anchor.h"

namespace postern::dns {

// Fails where a setting or a record of the trust anchor is wrong; Errc::unsupported: this build has no libunbound. The
// file that `settings` names is not read: `anchor` is what it held, or empty, and then nothing is ever secure. One for
// each loop; it may be made before the loop's thread starts, and belongs to that from then on; the loop must turn once
// more after its end.
Result<std::unique_ptr<Resolver>> make_resolver(uv_loop_t* loop, const config::DnsSettings& settings,
                                                const TrustAnchor& anchor);

}  // namespace postern::dns
