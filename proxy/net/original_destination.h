// Where an intercepted connection was going.
#pragma once

#include "config/result.h"
#include "proxy/net/address.h"

namespace postern::net {

// For one that a REDIRECT or DNAT rule brought here (SO_ORIGINAL_DST). Errc::not_found: the kernel knows of none. One
// that TPROXY brought has it as its local_address().
Result<SocketAddress> redirected_destination(const uv_stream_t* stream);

// The address is one of this machine's.
bool is_local_address(const config::IpAddress& address);

}  // namespace postern::net
