#include "proxy/session/limit_log.h"

#include <vector>

#include "proxy/observe/log.h"

namespace postern::session {

void log_limit(limits::Limit limit, std::string_view direction, const config::Listener& listener,
               config::ByteSize buffer_limit, std::uint64_t count, const net::SocketAddress* client) {
  const std::string from = client == nullptr ? std::string() : config::to_string(client->address);
  std::vector<log::Field> fields = {{"direction", direction},
                                    {"listener", listener.name},
                                    {"limit", limits::to_string(limit)},
                                    {"value", limits::value_of(limit, listener.limits, buffer_limit)},
                                    {"refused", count}};
  if (!from.empty()) fields.emplace_back("last_client", from);
  log::write(config::LogLevel::warning, "a limit is reached", fields);
}

void log_limits(limits::Tally& tally, std::string_view direction, const config::Listener& listener,
                config::ByteSize buffer_limit, std::uint64_t now) {
  for (std::size_t i = 0; i < limits::limit_count; ++i) {
    const auto limit = static_cast<limits::Limit>(i);
    if (const auto count = tally.notice(limit).due(now)) {
      log_limit(limit, direction, listener, buffer_limit, *count, nullptr);
    }
  }
}

}  // namespace postern::session
