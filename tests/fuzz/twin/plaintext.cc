#include "tests/fuzz/twin/plaintext.h"

namespace postern::smtp::before {

std::string_view to_string(Plaintext why) {
  switch (why) {
    case Plaintext::not_tried: return "not_tried";
    case Plaintext::not_offered: return "starttls_not_offered";
    case Plaintext::refused: return "starttls_refused";
    case Plaintext::misanswered: return "starttls_misanswered";
    case Plaintext::injected: return "starttls_injected";
    case Plaintext::closed: return "starttls_closed";
    case Plaintext::handshake_failed: return "handshake_failed";
  }
  return "not_tried";
}

std::optional<Plaintext> plaintext_reason(const RemoteState& state, bool closed) {
  switch (state.stage) {
    case RemoteState::Stage::none:
    case RemoteState::Stage::connect_failed:
    case RemoteState::Stage::greeting_failed:
    case RemoteState::Stage::lost:
    case RemoteState::Stage::auth_failed:
    case RemoteState::Stage::open: return std::nullopt;
    case RemoteState::Stage::tls_not_offered: return Plaintext::not_offered;
    case RemoteState::Stage::tls_refused: return Plaintext::refused;
    case RemoteState::Stage::tls_injected: return Plaintext::injected;
    case RemoteState::Stage::tls_failed: return closed ? Plaintext::closed : Plaintext::handshake_failed;
    case RemoteState::Stage::tls_broken:
      if (state.reply.starts_with("421")) return Plaintext::refused;
      return state.reply.empty() && !state.garbled ? Plaintext::closed : Plaintext::misanswered;
  }
  return std::nullopt;
}

}  // namespace postern::smtp::before
