// Events and our own replies of OutboundDialogue. Its halves are in outbound_client.cc (with outbound_refusals.cc,
// outbound_extensions.cc and outbound_content.cc) and outbound_remote.cc (with outbound_loss.cc); its clocks, in
// outbound_time.cc.
#include "proxy/smtp/outbound_dialogue.h"

#include <array>
#include <utility>

#include "config/assert.h"

namespace postern::smtp {

OutboundDialogue::OutboundDialogue(const OutboundFacts& facts)
    : facts_(facts), answers_(facts.listener->limits.errors, outcome_), input_(*facts.listener) {
  standing_.tls_available = facts.tls_available;
  if (!facts.notes_envelopes) outcome_.envelope.disable();
}

OutboundDialogue::~OutboundDialogue() = default;

const DialogueOutcome& OutboundDialogue::outcome() const {
  return outcome_;
}

bool OutboundDialogue::idle() const {
  return state_ == State::ended || (state_ == State::command && answers_.empty() && !transaction_.active());
}

void OutboundDialogue::plan(RemotePlan plan) {
  plan_ = std::move(plan);
}

bool OutboundDialogue::may_reconnect() const {
  return answers_.empty() && !transaction_.accepted && !standing_.authenticated;
}

void OutboundDialogue::enter(State next) {
  using enum State;
  const auto bit = [](auto... states) { return ((1U << static_cast<unsigned>(states)) | ... | 0U); };
  const auto any_end = bit(ended);
  // From each state, in the order of the enumerators, the states that may follow.
  const std::array<unsigned, 11> may_follow = {
      bit(handshake, command, judgement) | any_end,                                           // await_greeting
      bit(await_greeting, command) | any_end,                                                 // handshake
      bit(await_turn, opening, judgement, await_reply, within, starttls, closing) | any_end,  // command
      bit(command) | any_end,                                                                 // await_turn
      bit(judgement) | any_end,                                                               // opening
      bit(await_greeting, command, opening, judgement) | any_end,                             // judgement
      bit(command, within) | any_end,                                                         // await_reply
      bit(command, await_reply) | any_end,                                                    // within
      bit(handshake, closing) | any_end,                                                      // starttls
      any_end,                                                                                // closing
      0U,                                                                                     // ended
  };
  POSTERN_ASSERT((may_follow[static_cast<std::size_t>(state_)] & bit(next)) != 0, "no such move of a dialogue");
  state_ = next;
}

// --- events

void OutboundDialogue::start(Effects& out) {
  const bool implicit = facts_.listener->mode == config::TlsMode::implicit;
  if (implicit) {
    enter(State::handshake);
    out.start_tls(Side::client);
  }
  if (!facts_.greets_itself) {
    dial(out);  // it hides behind the handshake
  } else if (!implicit) {
    greet_ourselves(out);
  }
  settle(out);
}

std::size_t OutboundDialogue::on_client_bytes(std::string_view plaintext, Effects& out) {
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

bool OutboundDialogue::wants_client_bytes() const {
  return takes_client_bytes();
}

void OutboundDialogue::on_server_bytes(std::string_view plaintext, Effects& out) {
  std::string_view rest = plaintext;
  while (server_ != Server::none && state_ != State::ended) {
    const bool challenge = opening_ ? opening_->authenticating() : answers_.is_next(Expected::auth);
    const auto piece = replies_.next(rest, challenge ? challenge_line_limit : reply_line_limit);
    if (!piece) break;
    if (*piece) {
      on_piece(**piece, !rest.empty(), out);
    } else {
      remote_gone(Ending::backend_protocol, piece->error().message, out);
    }
  }
  outcome_.blank_lines += replies_.take_blank_lines();
  settle(out);
}

void OutboundDialogue::on_connected(Effects& out) {
  if (opening_) opening_->on_connected(std::exchange(plan_, {}));
  progress_ = true;
  settle(out);
}

void OutboundDialogue::on_connect_failed(Effects& out) {
  if (server_ == Server::opening) opening_->on_connect_failed();
  opening_moved(out);
  settle(out);
}

void OutboundDialogue::on_tls(Side side, const tls::SessionFacts&, Effects& out) {
  if (side == Side::client && state_ == State::handshake) on_client_tls(out);
  if (side == Side::backend && server_ == Server::opening) {
    replies_ = ReplyReader();
    opening_->on_tls(out);
  }
  progress_ = true;
  settle(out);
}

void OutboundDialogue::on_tls_failed(Side side, Effects& out) {
  if (side == Side::client && state_ == State::handshake) finish(Ending::client_tls_failed, out);
  if (side == Side::backend && server_ == Server::opening) {
    opening_->on_tls_failed();
    opening_moved(out);
  }
  settle(out);
}

void OutboundDialogue::on_closed(Side side, Effects& out) {
  if (side == Side::client) {
    client_closed_ = true;
  } else {
    remote_gone(idle() ? Ending::backend_closed : Ending::backend_lost, "the connection was closed", out);
  }
  settle(out);
}

void OutboundDialogue::on_drain(Effects& out) {
  const bool again = std::exchange(draining_, true);
  const bool nothing_begun = asking() && !transaction_.active();
  if ((again && idle()) || nothing_begun || tries_again()) refuse_now(Refusal::draining, Ending::draining, out);
  settle(out);
}

// --- after each event

bool OutboundDialogue::takes_client_bytes() const {
  switch (state_) {
    case State::await_greeting:
    case State::await_turn:
    case State::opening:
    case State::judgement:
    case State::await_reply:
    case State::ended: return false;
    case State::command: return !must_wait();
    case State::handshake:
    case State::within:
    case State::starttls:
    case State::closing: return true;
  }
  return false;
}

// A server that has not said PIPELINING gets its commands one at a time.
bool OutboundDialogue::must_wait() const {
  return answers_.size() >= outstanding_limit || (!link_.pipelines && !answers_.empty());
}

void OutboundDialogue::settle(Effects& out) {
  if (!transaction_.sent) answer_mail(out);
  while (state_ == State::await_turn && answers_.empty()) resume(out);
  if (state_ == State::starttls && answers_.empty()) begin_client_tls(out);
  if (client_closed_ && !client_rest_) client_is_gone(out);
  arm(out);
}

// All that the client sent has been used. What the server still owes for it is waited for.
void OutboundDialogue::client_is_gone(Effects& out) {
  const Ending ending = transaction_.active() ? Ending::client_lost : Ending::client_closed;
  switch (state_) {
    case State::await_greeting: return finish(Ending::client_closed, out);
    case State::handshake: return finish(Ending::client_tls_failed, out);
    case State::within: return finish(Ending::client_lost, out);
    case State::opening:
    case State::judgement: return finish(ending, out);
    case State::command:
    case State::starttls:
      if (answers_.empty()) finish(ending, out);
      return;
    case State::await_turn:
    case State::await_reply:
      if (!awaits_verdict()) finish(ending, out);
      return;
    case State::closing:
    case State::ended: return;
  }
}

// The server is dropped first, with whatever it has not read yet: half a message never gets an end.
void OutboundDialogue::finish(Ending ending, Effects& out) {
  if (state_ == State::ended) return;
  if (server_ != Server::none && input_.sends_on()) out.drop_backend();
  enter(State::ended);
  out.finish(ending);
  answers_.clear();
  held_.reset();
}

// --- our own replies

// Our 250 to MAIL, at the latest before any other reply.
void OutboundDialogue::answer_mail(Effects& out) {
  if (std::exchange(transaction_.unanswered, false)) out.send(Side::client, "250 2.1.0 Ok\r\n");
}

void OutboundDialogue::answer(Refusal refusal, Effects& out) {
  if (!transaction_.sent) answer_mail(out);
  if (answers_.refuse(refusal, verb_, out)) enter(State::closing);
  release_own_replies(out);
}

void OutboundDialogue::release_own_replies(Effects& out) {
  if (const auto ending = answers_.release(out)) finish(*ending, out);
}

// A reply that is no row of refusals: only when nothing is owed before it.
void OutboundDialogue::say(std::string_view reply, Effects& out) {
  POSTERN_ASSERT(answers_.empty(), "a reply overtakes another");
  answer_mail(out);
  out.send_copy(Side::client, reply);
}

// Ends the session, whatever was outstanding.
void OutboundDialogue::refuse_now(Refusal refusal, Ending ending, Effects& out) {
  if (state_ == State::ended) return;
  answers_.doubt_messages(refusal == Refusal::timeout ? "no reply in time" : "", chunk_under_way(), out);
  answers_.refuse_now(refusal, out);
  finish(ending, out);
}

void OutboundDialogue::greet(std::string_view greeting, Effects& out) {
  if (draining_) return refuse_now(Refusal::draining, Ending::draining, out);
  greeted_ = true;
  out.send_copy(Side::client, greeting);
  enter(State::command);
}

void OutboundDialogue::greet_ourselves(Effects& out) {
  greet("220 " + std::string(facts_.hostname) + " ESMTP\r\n", out);
}

// --- TLS with the client

// Everything the client was owed has gone out, and nothing of it was read behind its STARTTLS.
void OutboundDialogue::begin_client_tls(Effects& out) {
  POSTERN_ASSERT(!input_.partial() && !client_rest_, "plaintext is left behind STARTTLS");
  if (client_closed_) return;
  out.send(Side::client, "220 2.0.0 Ready to start TLS\r\n");
  out.start_tls(Side::client);
  enter(State::handshake);
}

void OutboundDialogue::on_client_tls(Effects& out) {
  const bool after_starttls = facts_.listener->mode == config::TlsMode::starttls;
  standing_ = ClientStanding{};
  input_ = ClientInput(*facts_.listener);
  standing_.tls = true;
  standing_.tls_available = facts_.tls_available;
  standing_.ehlo_first = after_starttls;
  outcome_.helo.clear();
  outcome_.authenticated = false;
  introduced_ = nameless_ = false;
  shown_ = 0;
  transaction_ = {};
  hello_refusal_.clear();
  if (!after_starttls && facts_.greets_itself) return greet_ourselves(out);
  if (!after_starttls) {
    enter(State::await_greeting);
    return opening_moved(out);
  }
  // What the plaintext phase did to the server's state goes with its connection.
  const bool heard_nothing = opening_ && !opening_->introduced();
  if (!heard_nothing) {
    drop_remote(out);
    remote_ = {};
  }
  enter(State::command);
}

}  // namespace postern::smtp
