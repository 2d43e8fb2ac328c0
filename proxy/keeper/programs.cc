#include "proxy/keeper/programs.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "proxy/net/packet_socket.h"

namespace postern::keeper {

Result<std::unique_ptr<programs::Server>> start_programs(net::Loop& loop, net::Reaper& reaper,
                                                         const config::Settings& settings) {
  programs::Server::Means means;
  if (!settings.user.empty() && ::geteuid() == 0) {
    auto identity = process::find_identity(settings.user);
    if (!identity) return tl::unexpected(identity.error());
    means.identity = std::move(*identity);
  }
  const char* path = std::getenv("PATH");
  means.path = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
  auto server = std::make_unique<programs::Server>(loop, reaper, std::move(means));
  offer_programs(*server, settings);
  return server;
}

void offer_programs(programs::Server& server, const config::Settings& settings) {
  for (const auto& listener : settings.inbound) {
    if (!listener.backend.exec.empty()) server.offer(listener.name, listener.backend.exec);
  }
}

void offer_new_programs(programs::Server& server, const config::Settings& settings) {
  for (const auto& listener : settings.inbound) {
    const bool is_new = !server.offers().contains(listener.name);
    if (is_new && !listener.backend.exec.empty()) server.offer(listener.name, listener.backend.exec);
  }
}

Result<std::vector<UniqueFd>> connect_programs(programs::Server& server, unsigned workers,
                                               const programs::Server::OnBreach& on_breach) {
  std::vector<UniqueFd> connections;
  for (unsigned w = 0; w < workers; ++w) {
    auto pair = net::packet_pair();
    if (!pair) return tl::unexpected(pair.error());
    server.connect(std::move(pair->first), on_breach);
    connections.push_back(std::move(pair->second));
  }
  return connections;
}

}  // namespace postern::keeper
