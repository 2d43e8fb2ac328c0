#include "proxy/runtime/resolver_settings.h"

namespace postern::runtime {

resolver::Settings resolver_settings(const config::Settings& settings, const dns::NameServers& servers,
                                     const dns::TrustAnchor& anchor) {
  const bool given = settings.dns.recursive || !settings.dns.servers.empty();
  return {servers, !given && !servers.servers.empty(), anchor, settings.user, settings.sandbox};
}

}  // namespace postern::runtime
