// Events, time and our own replies of OutboundDialogue. Its halves are in outbound_client.cc (with outbound_refusals.cc
// and outbound_extensions.cc) and outbound_remote.cc (with outbound_loss.cc).
#include "proxy/smtp/outbound_dialogue.h"

#include <array>
#include <utility>

#include "config/assert.h"

namespace postern::smtp {

OutboundDialogue::OutboundDialogue(const OutboundFacts& facts, HandshakeGate* gate)
    : TwoPartyDialogue(*facts.listener, {.reply = Timer::reply, .left = Refusal::remote_closed}, facts.tls_available,
                       facts.notes_envelopes, gate),
      facts_(facts) {}

OutboundDialogue::~OutboundDialogue() = default;

void OutboundDialogue::plan(RemotePlan plan) {
  plan_ = std::move(plan);
}

bool OutboundDialogue::may_reconnect() const {
  return answers_.empty() && !transaction_.accepted && !standing_.authenticated;
}

unsigned OutboundDialogue::may_follow(State state) const {
  using enum State;
  // In the order of the enumerators.
  static constexpr std::array<unsigned, state_count> moves = {
      states(handshake, command, await_policy),                                           // await_greeting
      states(await_greeting, command),                                                    // handshake
      states(await_turn, opening, await_policy, await_reply, within, starttls, closing),  // command
      states(command),                                                                    // await_turn
      states(await_policy),                                                               // opening
      states(await_greeting, command, opening, await_policy),                             // await_policy
      states(command, within),                                                            // await_reply
      states(command, await_reply),                                                       // within
      states(handshake, closing),                                                         // starttls
      states(),                                                                           // closing
      0U,                                                                                 // ended
  };
  return moves[static_cast<std::size_t>(state)];
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

void OutboundDialogue::on_server_connected() {
  if (opening_) opening_->on_connected(std::exchange(plan_, {}));
}

void OutboundDialogue::on_server_unreachable(Effects& out) {
  if (server_ == Server::opening) opening_->on_connect_failed();
  opening_moved(out);
}

void OutboundDialogue::on_server_tls_failed(Effects& out) {
  opening_->on_tls_failed();
  opening_moved(out);
}

void OutboundDialogue::on_server_closed(Effects& out) {
  server_gone(idle() ? Ending::server_closed : Ending::server_lost, "the connection was closed", out);
}

bool OutboundDialogue::expects_challenge() const {
  return opening_ ? opening_->authenticating() : answers_.is_next(Expected::auth);
}

bool OutboundDialogue::drains_at_once() const {
  return (asking() && !transaction_.active()) || tries_again();
}

void OutboundDialogue::go_on(Effects& out) {
  before_reply(out);
  while (state_ == State::await_turn && answers_.empty()) resume(out);
}

// --- time

void OutboundDialogue::time_is_up(Timer which, Effects& out) {
  switch (which) {
    case Timer::none:
    case Timer::closing: return;
    case Timer::connect: return on_server_unreachable(out);
    case Timer::handshake:
    case Timer::greeting:
    case Timer::reply:
    case Timer::data_end: return server_is_silent(out);
    case Timer::command:
    case Timer::data_block: return refuse_now(Refusal::timeout, Ending::timeout, out);
  }
}

// Where nothing has been given to it yet, that is a server to be left for another. Else it ends the session.
void OutboundDialogue::server_is_silent(Effects& out) {
  constexpr std::string_view silent = "the server was silent for too long";
  if (server_ == Server::opening || before_recipient()) return server_gone(Ending::timeout, silent, out);
  outcome_.trouble = no_answer(due(), silent);
  refuse_now(Refusal::timeout, Ending::timeout, out);
}

Timer OutboundDialogue::opening_timer() const {
  if (!opening_) return Timer::greeting;
  switch (opening_->state()) {
    case RemoteOpening::State::connecting: return Timer::connect;
    case RemoteOpening::State::handshake: return Timer::handshake;
    case RemoteOpening::State::greeting:
    case RemoteOpening::State::greeted:
    case RemoteOpening::State::over: return Timer::greeting;
    case RemoteOpening::State::ehlo:
    case RemoteOpening::State::helo:
    case RemoteOpening::State::starttls:
    case RemoteOpening::State::auth: return Timer::reply;
  }
  return Timer::reply;
}

// --- our own replies

// Our 250 to MAIL, at the latest before any other reply.
void OutboundDialogue::answer_mail(Effects& out) {
  if (std::exchange(transaction_.unanswered, false)) out.send(Side::client, "250 2.1.0 Ok\r\n");
}

void OutboundDialogue::before_reply(Effects& out) {
  if (!transaction_.sent) answer_mail(out);
}

// A reply that is no row of refusals: only when nothing is owed before it.
void OutboundDialogue::say(std::string_view reply, Effects& out) {
  POSTERN_ASSERT(answers_.empty(), "a reply overtakes another");
  answer_mail(out);
  out.send_copy(Side::client, reply);
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

void OutboundDialogue::on_client_tls(const tls::SessionFacts&, Effects& out) {
  const bool after_starttls = facts_.listener->mode == config::TlsMode::starttls;
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
