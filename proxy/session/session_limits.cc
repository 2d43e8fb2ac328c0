// What Session does about limits: who is let in, who may begin TLS, and how the others are told.
#include "proxy/net/presence.h"
#include "proxy/session/limit_log.h"
#include "proxy/session/session.h"

namespace postern::session {

using limits::Limit;

namespace {

smtp::Refusal refusal_of(Limit limit) {
  switch (limit) {
    case Limit::sessions: return smtp::Refusal::too_many_sessions;
    case Limit::client_sessions: return smtp::Refusal::client_sessions;
    case Limit::client_connections: return smtp::Refusal::client_connections;
    case Limit::client_handshakes: return smtp::Refusal::client_handshakes;
    case Limit::buffers: return smtp::Refusal::buffers_full;
  }
  return smtp::Refusal::too_many_sessions;
}

}  // namespace

bool Session::full() {
  if (runtime_->tallies->buffered()->octets() > runtime_->settings.buffer_limit.bytes) {
    refuse(Limit::buffers);
  } else if (!seat_.take(tally(), listener().limits.sessions)) {
    refuse(Limit::sessions);
  }
  return over();
}

bool Session::admit(bool is_client) {
  const config::Limits& bounds = listener().limits;
  std::optional<Limit> reached;
  if (is_client && !contains(bounds.exempt, record_.client.address)) {
    reached = seat_.take_for_client(record_.client.address, limits::client_bounds(bounds), microseconds());
  }
  if (reached) {
    refuse(*reached);
  } else if (listener().mode == config::TlsMode::implicit && !may_begin_handshake()) {
    refuse(Limit::client_handshakes);
  }
  return !over();
}

bool Session::may_begin_handshake() {
  if (seat_.may_begin_handshake(limits::client_bounds(listener().limits), microseconds())) return true;
  note_limit(Limit::client_handshakes);
  return false;
}

// Whoever comes in a flood has no line of its own in the log.
void Session::refuse(Limit limit) {
  if (limit != Limit::client_handshakes) note_limit(limit);
  turn_away(refusal_of(limit), smtp::Ending::limit);
}

// Who is not let in has neither time nor a place that a client could have. Where TLS comes first, nothing can be said.
void Session::turn_away(smtp::Refusal refusal, smtp::Ending ending) {
  record_.note_refusal(refusal);
  record_.ending = ending;
  if (listener().mode != config::TlsMode::implicit) client_.send(smtp::row(refusal).reply);
  flush();
  net::discard_received(client_.socket());
  retire();
}

void Session::note_limit(Limit limit) {
  if (const auto count = tally().notice(limit).note(microseconds())) {
    log_limit(limit, direction(), listener(), runtime_->settings.buffer_limit, *count, &record_.client);
  }
}

// What waits in memory counts towards buffer_limit. What a session that has ended meanwhile had not taken is nobody's.
void Session::keep(std::string_view bytes) {
  if (over()) return;
  held_.append(bytes);
  around_.scratch.waiting.add(bytes.size());
}

void Session::forget_kept() {
  around_.scratch.waiting.take(held_.size());
  held_ = {};
  held_taken_ = 0;
}

std::uint64_t Session::microseconds() const {
  return around_.loop.now() * 1000;
}

}  // namespace postern::session
