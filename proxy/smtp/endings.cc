#include "proxy/smtp/endings.h"

#include <algorithm>
#include <array>
#include <utility>

namespace postern::smtp {

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::quit: return "quit";
    case Ending::client_closed: return "client_closed";
    case Ending::client_lost: return "client_lost";
    case Ending::server_closed: return "server_closed";
    case Ending::server_lost: return "server_lost";
    case Ending::server_unreachable: return "server_unreachable";
    case Ending::server_protocol: return "server_protocol";
    case Ending::server_tls_failed: return "server_tls_failed";
    case Ending::backend_lacks_xclient: return "backend_lacks_xclient";
    case Ending::client_tls_failed: return "client_tls_failed";
    case Ending::starttls_injection: return "starttls_injection";
    case Ending::timeout: return "timeout";
    case Ending::too_many_errors: return "too_many_errors";
    case Ending::bare_newline: return "bare_newline";
    case Ending::message_too_large: return "message_too_large";
    case Ending::http_request: return "http_request";
    case Ending::client_spoke_tls: return "client_spoke_tls";
    case Ending::malformed_bdat: return "malformed_bdat";
    case Ending::client_certificate: return "client_certificate";
    case Ending::proxy_protocol: return "proxy_protocol";
    case Ending::client_not_allowed: return "client_not_allowed";
    case Ending::routing_loop: return "routing_loop";
    case Ending::limit: return "limit";
    case Ending::draining: return "draining";
    case Ending::internal: return "internal";
  }
  return "internal";
}

std::string_view to_string(Ending ending, config::Direction direction) {
  using Word = std::pair<Ending, std::string_view>;
  static constexpr std::array of_a_backend = {
      Word{Ending::server_closed, "backend_closed"},           Word{Ending::server_lost, "backend_lost"},
      Word{Ending::server_unreachable, "backend_unreachable"}, Word{Ending::server_protocol, "backend_protocol"},
      Word{Ending::server_tls_failed, "backend_tls_failed"},
  };
  const auto* const found = std::ranges::find(of_a_backend, ending, &Word::first);
  const bool inbound = direction == config::Direction::inbound;
  return inbound && found != of_a_backend.end() ? found->second : to_string(ending);
}

}  // namespace postern::smtp
