// Events of TwoPartyDialogue, its states and its clock. The client's half is in two_party_client.cc.
#include "proxy/smtp/two_party_dialogue.h"

#include <utility>

#include "config/assert.h"

namespace postern::smtp {

TwoPartyDialogue::TwoPartyDialogue(const config::Listener& listener, Words words, bool tls_available,
                                   bool notes_envelopes, HandshakeGate* gate)
    : answers_(listener.limits.errors, outcome_), input_(listener), words_(words), gate_(gate) {
  standing_.tls_available = tls_available;
  if (!notes_envelopes) outcome_.envelope.disable();
}

TwoPartyDialogue::~TwoPartyDialogue() = default;

bool TwoPartyDialogue::idle() const {
  return state_ == State::ended || (state_ == State::command && answers_.empty() && !in_transaction());
}

void TwoPartyDialogue::enter(State next) {
  POSTERN_ASSERT((may_follow(state_) & (1U << static_cast<unsigned>(next))) != 0, "no such move of a dialogue");
  state_ = next;
}

// --- events

std::size_t TwoPartyDialogue::on_client_bytes(std::string_view plaintext, Effects& out) {
  std::string_view rest = plaintext;
  // Who speaks TLS speaks first, and may wait for us as we for the server.
  if (state_ == State::await_greeting && is_no_command(rest)) {
    out.because(spoke_no_smtp);
    refuse_now(Refusal::not_smtp, Ending::client_spoke_tls, out);
  }
  while (!rest.empty() && takes_client_bytes()) serve_client(rest, out);
  client_rest_ = !rest.empty();
  settle(out);
  return plaintext.size() - rest.size();
}

bool TwoPartyDialogue::wants_client_bytes() const {
  return takes_client_bytes();
}

void TwoPartyDialogue::on_server_bytes(std::string_view plaintext, Effects& out) {
  std::string_view rest = plaintext;
  const auto connection = connections_;  // what is left of a connection's octets goes with it
  while (server_ != Server::none && state_ != State::ended && connections_ == connection) {
    const auto piece = replies_.next(rest, expects_challenge() ? challenge_line_limit : reply_line_limit);
    if (!piece) break;
    if (*piece) {
      on_piece(**piece, !rest.empty(), out);
    } else {
      server_gone(Ending::server_protocol, piece->error().message, out);
    }
  }
  outcome_.blank_lines += replies_.take_blank_lines();
  settle(out);
}

void TwoPartyDialogue::on_connected(Effects& out) {
  on_server_connected();
  progress_ = true;
  settle(out);
}

void TwoPartyDialogue::on_connect_failed(Effects& out) {
  on_server_unreachable(out);
  settle(out);
}

void TwoPartyDialogue::on_tls(Side side, const tls::SessionFacts& facts, Effects& out) {
  if (side == Side::client && state_ == State::handshake) {
    begin_standing();
    on_client_tls(facts, out);
  }
  if (side == Side::server && server_ == Server::opening) {
    replies_ = ReplyReader();
    on_server_tls(out);
  }
  progress_ = true;
  settle(out);
}

void TwoPartyDialogue::on_tls_failed(Side side, Effects& out) {
  if (side == Side::client && state_ == State::handshake) finish(Ending::client_tls_failed, out);
  if (side == Side::server && server_ == Server::opening) on_server_tls_failed(out);
  settle(out);
}

void TwoPartyDialogue::on_timer(Timer which, Effects& out) {
  armed_ = Timer::none;
  if (which == Timer::handshake && state_ == State::handshake) {
    finish(Ending::timeout, out);  // no reply can be sent in the middle of it
  } else {
    time_is_up(which, out);
  }
  settle(out);
}

void TwoPartyDialogue::on_closed(Side side, Effects& out) {
  if (side == Side::client) {
    client_closed_ = true;
  } else {
    on_server_closed(out);
  }
  settle(out);
}

void TwoPartyDialogue::on_drain(Effects& out) {
  const bool again = std::exchange(draining_, true);
  if ((again && idle()) || drains_at_once()) refuse_now(Refusal::draining, Ending::draining, out);
  settle(out);
}

// A message under way has no end then, so that nothing of it is delivered.
void TwoPartyDialogue::on_cut(Effects& out) {
  draining_ = true;
  if (state_ == State::handshake) {
    finish(Ending::draining, out);  // no reply can be sent in the middle of it
  } else {
    refuse_now(Refusal::draining, Ending::draining, out);
  }
  settle(out);
}

// --- after each event

void TwoPartyDialogue::settle(Effects& out) {
  go_on(out);
  if (state_ == State::starttls && answers_.empty()) begin_client_tls(out);
  if (client_closed_ && !client_rest_) client_is_gone(out);
  arm(out);
}

// Time is counted for whoever owes something: the server while replies are outstanding, else the client.
void TwoPartyDialogue::arm(Effects& out) {
  const Timer wanted = timer();
  if (state_ != State::ended && (progress_ || wanted != armed_)) out.arm(wanted);
  armed_ = wanted;
  progress_ = false;
}

Timer TwoPartyDialogue::timer() const {
  switch (state_) {
    case State::await_greeting:
    case State::opening: return opening_timer();
    case State::handshake: return Timer::handshake;
    case State::await_policy: return Timer::none;  // the session's own lookups have their own limits
    case State::within:
      if (input_.in_message()) return Timer::data_block;
      [[fallthrough]];
    case State::command:
    case State::await_turn:
    case State::await_reply:
    case State::starttls:
    case State::closing:
      if (answers_.empty()) return Timer::command;
      return answers_.message_is_next() ? Timer::data_end : words_.reply;
    case State::ended: return Timer::none;
  }
  return Timer::none;
}

// All that the client sent has been used. What the server still owes for it is waited for.
void TwoPartyDialogue::client_is_gone(Effects& out) {
  const Ending ending = in_transaction() ? Ending::client_lost : Ending::client_closed;
  switch (state_) {
    case State::await_greeting: return finish(Ending::client_closed, out);
    case State::handshake: return finish(Ending::client_tls_failed, out);
    case State::within: return finish(Ending::client_lost, out);
    case State::command:
    case State::starttls:
      if (!answers_.empty()) return;
      return finish(standing_.certificate_missing ? Ending::client_certificate : ending, out);
    case State::await_turn:
    case State::opening:
    case State::await_policy:
    case State::await_reply:
      if (!goes_on_without_client()) finish(ending, out);
      return;
    case State::closing:
    case State::ended: return;
  }
}

// The server is dropped first, with whatever it has not read yet: half a message never gets an end.
void TwoPartyDialogue::finish(Ending ending, Effects& out) {
  if (state_ == State::ended) return;
  if (server_ != Server::none && input_.sends_on()) out.drop_server();
  enter(State::ended);
  out.finish(ending);
  answers_.clear();
  held_.reset();
}

// --- TLS with the client

// Everything the client was owed has gone out, and nothing of it was read behind its STARTTLS.
void TwoPartyDialogue::begin_client_tls(Effects& out) {
  POSTERN_ASSERT(!input_.partial() && !client_rest_, "plaintext is left behind STARTTLS");
  if (client_closed_) return;
  out.send(Side::client, "220 2.0.0 Ready to start TLS\r\n");
  out.start_tls(Side::client);
  enter(State::handshake);
}

// Nothing that was said in plaintext is known any more.
void TwoPartyDialogue::begin_standing() {
  const bool tls_available = standing_.tls_available;
  standing_ = ClientStanding{};
  standing_.tls = true;
  standing_.tls_available = tls_available;
  standing_.ehlo_first = input_.listener().mode == config::TlsMode::starttls;
  input_ = ClientInput(input_.listener());
  outcome_.helo.clear();
  outcome_.authenticated = false;
}

// --- the server

void TwoPartyDialogue::dial(Effects& out) {
  ++connections_;
  replies_ = ReplyReader();
  server_ = Server::opening;
  out.connect_server();
}

void TwoPartyDialogue::go_within(Expected to, int code) {
  if (code == 354) input_.expect_content();
  if (code == 334) input_.expect_response();
  if (to == Expected::auth && code == 235) outcome_.authenticated = standing_.authenticated = true;
  enter(code == 354 || code == 334 ? State::within : State::command);
}

// Its 421 stands for the replies that would follow.
void TwoPartyDialogue::server_takes_leave(Effects& out) {
  answers_.lose_messages(out);
  finish(Ending::server_closed, out);
}

std::string TwoPartyDialogue::took_leave(const ReplyPiece& piece) {
  return "the server took its leave: " + quote(piece);
}

std::string TwoPartyDialogue::alone(const ReplyPiece& piece) {
  ReplyPiece whole = piece;
  whole.last = true;
  return print(whole, piece.text);
}

}  // namespace postern::smtp
