// The resolver that the operator's `dns` section describes.
#pragma once

#include <uv.h>

#include <memory>

#include "config/result.h"
#include "config/settings.h"
#include "proxy/dns/resolver.h"

namespace postern::dns {

// Fails where a setting is wrong or the trust anchor cannot be read; Errc::unsupported: this build has no libunbound.
// One for each loop; used and destroyed on its thread; the loop must turn once more after that.
Result<std::unique_ptr<Resolver>> make_resolver(uv_loop_t* loop, const config::DnsSettings& settings);

}  // namespace postern::dns
