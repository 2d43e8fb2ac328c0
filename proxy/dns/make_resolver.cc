#include "proxy/dns/make_resolver.h"

#ifdef POSTERN_UNBOUND
#include <unistd.h>

#include "proxy/dns/unbound_resolver.h"

namespace postern::dns {

Result<std::unique_ptr<Resolver>> make_resolver(uv_loop_t* loop, const config::DnsSettings& settings) {
  using Source = ResolverSettings::Source;
  ResolverSettings resolver;
  resolver.servers = settings.servers;
  resolver.source =
      settings.recursive ? Source::recursion : (settings.servers.empty() ? Source::resolv_conf : Source::servers);
  // Whether a missing file is a mistake is for preflight to say; without one nothing is ever secure.
  if (::access(settings.trust_anchor.c_str(), F_OK) == 0) resolver.trust_anchor_file = settings.trust_anchor;
  return make_unbound_resolver(loop, resolver);
}

}  // namespace postern::dns
#else
namespace postern::dns {

Result<std::unique_ptr<Resolver>> make_resolver(uv_loop_t*, const config::DnsSettings&) {
  return fail(Errc::unsupported,
              "this build has no DNS resolver: it was made where libunbound would have loaded OpenSSL");
}

}  // namespace postern::dns
#endif
