#include "tests/fuzz/twin/endings.h"

namespace postern::smtp::before {

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::quit: return "quit";
    case Ending::client_closed: return "client_closed";
    case Ending::client_lost: return "client_lost";
    case Ending::backend_closed: return "backend_closed";
    case Ending::backend_lost: return "backend_lost";
    case Ending::backend_unreachable: return "backend_unreachable";
    case Ending::backend_protocol: return "backend_protocol";
    case Ending::backend_tls_failed: return "backend_tls_failed";
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
    case Ending::draining: return "draining";
    case Ending::internal: return "internal";
  }
  return "internal";
}

}  // namespace postern::smtp::before
