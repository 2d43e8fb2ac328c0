#include "proxy/outbound/own_addresses.h"

#include <algorithm>

#include "proxy/net/interface_addresses.h"
#include "proxy/net/original_destination.h"

namespace postern::outbound {

namespace {

// What a listener must be so that it accepts connections to `address`.
auto listens_on(const net::SocketAddress& address) {
  return [&address](const config::Listener& listener) {
    return std::ranges::any_of(listener.listen, [&](const config::Endpoint& own) {
      if (own.port != address.port || own.address.family != address.address.family) return false;
      return own.address == address.address || (is_any(own.address) && net::is_local_address(address.address));
    });
  };
}

}  // namespace

bool is_outbound_listener(const config::Settings& settings, const net::SocketAddress& address) {
  return std::ranges::any_of(settings.outbound, listens_on(address));
}

bool is_own_mail_host(const config::Settings& settings, const net::SocketAddress& address) {
  return is_loopback(address.address) || is_any(address.address) || net::is_interface_address(address.address) ||
         is_outbound_listener(settings, address) || std::ranges::any_of(settings.inbound, listens_on(address));
}

IsOurs own_mail_hosts(const config::Settings& settings, const config::OutboundListener& listener) {
  return [&settings, port = listener.port](const config::IpAddress& host) {
    return is_own_mail_host(settings, {host, port});
  };
}

}  // namespace postern::outbound
