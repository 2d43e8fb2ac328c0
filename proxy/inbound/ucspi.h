// The environment of a UCSPI program (cr.yp.to/proto/ucspi-tcp.txt; tcp-environ(5)), with TLS facts under mod_ssl's
// names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/net/address.h"
#include "tls/session_facts.h"

namespace postern::inbound {

// "NAME=value" strings, without PATH, which is not the session's to say. `facts` null: the session runs without TLS so
// far. RELAYCLIENT is never among them: that is local policy. Control characters of the peer's own words become '?'.
std::vector<std::string> ucspi_environment(const net::SocketAddress& local, const net::SocketAddress& remote,
                                           std::string_view local_host, const tls::SessionFacts* facts);

}  // namespace postern::inbound
