#include "proxy/dns/make_resolver.h"

#ifdef POSTERN_UNBOUND
#include "proxy/dns/unbound_resolver.h"

namespace postern::dns {

Result<std::unique_ptr<Resolver>> make_resolver(uv_loop_t* loop, const config::DnsSettings& settings,
                                                const TrustAnchor& anchor) {
  using Source = ResolverSettings::Source;
  ResolverSettings resolver;
  resolver.servers = settings.servers;
  resolver.source =
      settings.recursive ? Source::recursion : (settings.servers.empty() ? Source::resolv_conf : Source::servers);
  resolver.trust_anchor = anchor;
  return make_unbound_resolver(loop, resolver);
}

}  // namespace postern::dns
#else
namespace postern::dns {

Result<std::unique_ptr<Resolver>> make_resolver(uv_loop_t*, const config::DnsSettings&, const TrustAnchor&) {
  return fail(Errc::unsupported,
              "this build has no DNS resolver: it was made where libunbound would have loaded OpenSSL");
}

}  // namespace postern::dns
#endif
