// The Resolver that a worker uses: libunbound, validating for itself, in the worker's own loop.
//
// libunbound offers three ways to be asynchronous. ub_ctx_async forks a process or starts a thread for every context
// and hands answers over a pipe: with a context in each worker that doubles the threads, and every answer crosses two
// of them. ub_ctx_create_event wants the very libevent that libunbound was built with. ub_ctx_create_ub_event takes any
// event loop behind a table of functions: unbound_events.h is that table for libuv. So all happens on the worker's
// thread, without a lock, and Debian builds its library that way.
#pragma once

#include <uv.h>

#include <memory>
#include <string>

#include "config/result.h"
#include "config/values.h"
#include "proxy/dns/name_servers.h"
#include "proxy/dns/resolver.h"
#include "proxy/dns/trust_anchor.h"

namespace postern::dns {

struct ResolverSettings {
  NameServers servers;       // they forward, and need not validate
  TrustAnchor trust_anchor;  // empty: nothing is ever secure
  config::Duration timeout = std::chrono::seconds(10);
};

// Fails where a setting is wrong, a malformed trust anchor too. One for each loop; it may be made before the loop's
// thread starts, and belongs to that from then on; the loop must turn once more after its end. Lookups may outlive it
// and are then never answered. No file is read.
Result<std::unique_ptr<Resolver>> make_unbound_resolver(uv_loop_t* loop, const ResolverSettings& settings);

// "1.17.1", for `postern --version`.
std::string unbound_version();

}  // namespace postern::dns
