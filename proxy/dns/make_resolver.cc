#include "proxy/dns/make_resolver.h"

#ifdef POSTERN_UNBOUND
#include "proxy/dns/unbound_resolver.h"

namespace postern::dns {

Result<std::unique_ptr<Resolver>> make_resolver(uv_loop_t* loop, const NameServers& servers, const TrustAnchor& anchor,
                                                config::Duration timeout) {
  return make_unbound_resolver(loop, {servers, anchor, timeout});
}

}  // namespace postern::dns
#else
namespace postern::dns {

Result<std::unique_ptr<Resolver>> make_resolver(uv_loop_t*, const NameServers&, const TrustAnchor&, config::Duration) {
  return fail(Errc::unsupported,
              "this build has no DNS resolver: it was made where libunbound would have loaded OpenSSL");
}

}  // namespace postern::dns
#endif
