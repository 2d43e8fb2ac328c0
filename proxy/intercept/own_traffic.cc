#include "proxy/intercept/own_traffic.h"

#include <algorithm>
#include <string>

#include "config/diagnostic.h"
#include "proxy/intercept/reach.h"

namespace postern::intercept {

namespace {

using config::Endpoint;

bool has_port(const std::vector<std::uint16_t>& ports, std::uint16_t port) {
  return std::ranges::find(ports, port) != ports.end();
}

// A listener whose connections to such a port bear no mark.
const config::OutboundListener* without_mark(const config::Settings& settings,
                                             const std::vector<std::uint16_t>& ports) {
  const auto found = std::ranges::find_if(settings.outbound, [&ports](const config::OutboundListener& listener) {
    const bool relays = listener.route == config::OutboundRoute::relay && listener.relay.address;
    const bool concerned = relays ? has_port(ports, listener.relay.address->port)
                                  : listener.route != config::OutboundRoute::mx || has_port(ports, listener.port);
    return concerned && listener.socket_mark == 0;
  });
  return found == settings.outbound.end() ? nullptr : &*found;
}

}  // namespace

std::optional<Own> own_traffic(config::Loaded& loaded, const std::vector<std::uint16_t>& ports,
                               const std::optional<std::uint32_t>& user) {
  const config::Settings& settings = loaded.settings;
  Own own;
  for (const auto& listener : settings.outbound) {
    if (listener.socket_mark != 0) own.marks.push_back(listener.socket_mark);
  }
  tidy(own.marks);
  const config::OutboundListener* unmarked = without_mark(settings, ports);
  const bool distinct = user && *user != 0;  // root's are everybody's
  bool failed = false;
  if (unmarked != nullptr && !distinct) {
    loaded.add_error(
        "outbound." + unmarked->name,
        "its own connections would be led back to Postern itself: set socket_mark, say to 0x2525 (and restart), "
        "or run as a user of Postern's own (user)");
    failed = true;
  }
  if (unmarked != nullptr && distinct) own.user = user;
  for (const auto& listener : settings.inbound) {
    for (std::size_t i = 0; i < listener.backend.addresses.size(); ++i) {
      const Endpoint& server = listener.backend.addresses[i];
      if (server.kind == Endpoint::Kind::unix_socket || !has_port(ports, server.port)) continue;
      if (server.kind == Endpoint::Kind::ip) {
        own.servers.push_back(server);
      } else if (distinct) {
        own.user = user;
      } else {
        loaded.add_error(
            "inbound." + listener.name + ".backend.address",
            "the connections to " + config::quote(config::to_string(server)) +
                " would be intercepted, too: give its IP address, or run as a user of Postern's own (user)");
        failed = true;
      }
    }
  }
  if (failed) return std::nullopt;
  return own;
}

}  // namespace postern::intercept
