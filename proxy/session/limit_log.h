// The line that says, once a minute, that a limit is reached.
#pragma once

#include <cstdint>
#include <string_view>

#include "config/settings.h"
#include "proxy/limits/tally.h"
#include "proxy/net/address.h"

namespace postern::session {

// `count`: how often it was since the line before. `client`: the last one; null: nobody knows any more.
void log_limit(limits::Limit limit, std::string_view direction, const config::Listener& listener,
               config::ByteSize buffer_limit, std::uint64_t count, const net::SocketAddress* client);
// Those of a listener that are overdue; for somebody's every so often.
void log_limits(limits::Tally& tally, std::string_view direction, const config::Listener& listener,
                config::ByteSize buffer_limit, std::uint64_t now);

}  // namespace postern::session
