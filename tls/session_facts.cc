#include "tls/session_facts.h"

namespace postern::tls {

std::string_view to_string(Verification verification) {
  switch (verification) {
    case Verification::not_requested: return "not_requested";
    case Verification::no_certificate: return "no_certificate";
    case Verification::failed: return "failed";
    case Verification::verified: return "verified";
  }
  return "";
}

}  // namespace postern::tls
