// Which addresses lead back to this process, as its settings have it.
#pragma once

#include <functional>

#include "config/settings.h"
#include "proxy/net/address.h"

namespace postern::outbound {

// An outbound listener listens there: on that very address, or on all of this machine's.
bool is_outbound_listener(const config::Settings& settings, const net::SocketAddress& address);

// A mail host of that address is this machine, whoever listens there (RFC 5321 5.1): one of our listeners, or another
// program that would hand the mail to us. So are all loopback addresses: nobody's mail host has one, whatever its
// domain says.
bool is_own_mail_host(const config::Settings& settings, const net::SocketAddress& address);
// The same of the hosts that an outbound listener finds by MX, for policy::leave_out_ourselves(). `settings` outlive
// it.
using IsOurs = std::function<bool(const config::IpAddress&)>;
IsOurs own_mail_hosts(const config::Settings& settings, const config::OutboundListener& listener);

}  // namespace postern::outbound
