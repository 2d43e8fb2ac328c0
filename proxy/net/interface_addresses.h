// Which addresses this machine has.
#pragma once

#include <vector>

#include "config/values.h"

namespace postern::net {

// Those of all interfaces, now.
std::vector<config::IpAddress> interface_addresses();

// One of its interfaces has the address, as far as it was known some seconds ago. Not the same as
// is_local_address(): where the kernel lets foreign addresses be bound (ip_nonlocal_bind), that knows no others.
bool is_interface_address(const config::IpAddress& address);

}  // namespace postern::net
