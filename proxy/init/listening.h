// Who accepts connections on this machine, by the kernel's tables.
#pragma once

#include <string_view>
#include <vector>

#include "proxy/init/facts.h"

namespace postern::init {

// /proc/net/tcp and tcp6 (proc(5)): those in state LISTEN. Lines that are none are passed over.
std::vector<Listening> parse_listening(std::string_view table);

// `wanted`, or the next port above it on which nobody but Postern listens.
std::uint16_t free_port_from(std::uint16_t wanted, const std::vector<Listening>& listening);

}  // namespace postern::init
