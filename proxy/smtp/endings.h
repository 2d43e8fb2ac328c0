// How a session ended: the `ended` field of its log line and a label of its counter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/extensions.h"

namespace postern::smtp {

enum class Ending : std::uint8_t {
  quit,           // QUIT and its 221
  client_closed,  // the client went away between transactions
  client_lost,    // … in the middle of one
  server_closed,  // the server said 421 or closed by itself
  server_lost,    // … in the middle of something
  server_unreachable,
  server_protocol,  // the server's bytes were no SMTP
  server_tls_failed,
  backend_lacks_xclient,
  client_tls_failed,
  starttls_injection,
  timeout,
  too_many_errors,
  bare_newline,
  message_too_large,
  http_request,
  client_spoke_tls,  // … or other octets in place of a command
  malformed_bdat,
  client_certificate,
  proxy_protocol,
  client_not_allowed,
  routing_loop,  // where the client wanted to go is the gateway
  limit,         // one was reached: there was hardly a session
  draining,
  internal,
};
inline constexpr std::size_t ending_count = static_cast<std::size_t>(Ending::internal) + 1;
std::string_view to_string(Ending ending);  // the enumerator's name
// The log's word: an inbound session's server is its backend.
std::string_view to_string(Ending ending, config::Direction direction);

}  // namespace postern::smtp
