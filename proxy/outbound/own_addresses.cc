#include "proxy/outbound/own_addresses.h"

#include <algorithm>

#include "proxy/net/interface_addresses.h"
#include "proxy/net/original_destination.h"

namespace postern::outbound {

namespace {

bool is_any(const config::IpAddress& address) {
  return address == config::IpAddress{address.family, {}};
}

template <class Listeners>
bool one_listens(const Listeners& listeners, const net::SocketAddress& address) {
  const auto listens = [&](const config::Endpoint& own) {
    if (own.port != address.port || own.address.family != address.address.family) return false;
    return own.address == address.address || (is_any(own.address) && net::is_local_address(address.address));
  };
  return std::ranges::any_of(listeners,
                             [&](const auto& listener) { return std::ranges::any_of(listener.listen, listens); });
}

}  // namespace

bool is_outbound_listener(const config::Settings& settings, const net::SocketAddress& address) {
  return one_listens(settings.outbound, address);
}

bool is_own_mail_host(const config::Settings& settings, const net::SocketAddress& address) {
  return contains(config::loopback_networks(), address.address) || is_any(address.address) ||
         net::is_interface_address(address.address) || one_listens(settings.outbound, address) ||
         one_listens(settings.inbound, address);
}

}  // namespace postern::outbound
