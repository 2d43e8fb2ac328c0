#include "config/result.h"

namespace postern {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return "invalid argument";
    case Errc::not_found: return "not found";
    case Errc::io: return "input/output";
    case Errc::limit_exceeded: return "limit exceeded";
    case Errc::protocol: return "protocol error";
    case Errc::tls: return "TLS error";
    case Errc::certificate: return "certificate error";
    case Errc::timeout: return "timeout";
    case Errc::refused: return "refused";
    case Errc::closed: return "closed";
    case Errc::temporary: return "temporary failure";
    case Errc::unsupported: return "unsupported";
  }
  return "unknown";
}

}  // namespace postern
