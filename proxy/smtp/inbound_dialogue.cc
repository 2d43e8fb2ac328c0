#include "proxy/smtp/inbound_dialogue.h"

#include <array>
#include <utility>

#include "config/assert.h"

namespace postern::smtp {

InboundDialogue::InboundDialogue(const InboundFacts& facts)
    : facts_(facts), answers_(facts.listener->limits.errors, outcome_), input_(*facts.listener) {
  standing_.tls_available = facts.tls_available;
  if (!facts.notes_envelopes) outcome_.envelope.disable();
}

InboundDialogue::~InboundDialogue() = default;

const DialogueOutcome& InboundDialogue::outcome() const {
  return outcome_;
}

bool InboundDialogue::idle() const {
  return state_ == State::ended || (state_ == State::command && answers_.empty() && !standing_.transaction);
}

void InboundDialogue::enter(State next) {
  using enum State;
  const auto bit = [](auto... states) { return ((1U << static_cast<unsigned>(states)) | ... | 0U); };
  const auto any_end = bit(ended);
  // From each state, in the order of the enumerators, the states that may follow.
  const std::array<unsigned, 9> may_follow = {
      bit(handshake, command, await_backend) | any_end,                      // await_greeting
      bit(command, closing) | any_end,                                       // await_backend
      bit(await_greeting, await_backend, command) | any_end,                 // handshake
      bit(await_backend, await_reply, within, starttls, closing) | any_end,  // command
      bit(await_backend, command, within) | any_end,                         // await_reply
      bit(command, await_reply) | any_end,                                   // within
      bit(handshake, closing) | any_end,                                     // starttls
      any_end,                                                               // closing
      0U,                                                                    // ended
  };
  POSTERN_ASSERT((may_follow[static_cast<std::size_t>(state_)] & bit(next)) != 0, "no such move of a dialogue");
  state_ = next;
}

// --- events

void InboundDialogue::start(Effects& out) {
  const bool server_first = facts_.listener->greeting == config::GreetingMode::backend;
  if (facts_.listener->mode == config::TlsMode::implicit) {
    enter(State::handshake);
    out.start_tls(Side::client);
    if (server_first) dial(out);  // the dial hides behind the handshake
  } else if (server_first) {
    dial(out);
  } else {
    greet_ourselves(out);
  }
  settle(out);
}

std::size_t InboundDialogue::on_client_bytes(std::string_view plaintext, Effects& out) {
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

bool InboundDialogue::wants_client_bytes() const {
  return takes_client_bytes();
}

void InboundDialogue::on_server_bytes(std::string_view plaintext, Effects& out) {
  std::string_view rest = plaintext;
  const auto connection = reopened_;  // what is left of a connection's octets goes with it
  while ((server_ == Server::opening || server_ == Server::open) && state_ != State::ended && reopened_ == connection) {
    const auto piece = replies_.next(rest, answers_.is_next(Expected::auth) ? challenge_line_limit : reply_line_limit);
    if (!piece) break;
    if (*piece) {
      on_piece(**piece, !rest.empty(), out);
    } else {
      server_failed(Ending::backend_protocol, piece->error().message, out);
    }
  }
  outcome_.blank_lines += replies_.take_blank_lines();
  settle(out);
}

void InboundDialogue::on_connected(Effects& out) {
  if (opening_) opening_->on_connected();
  progress_ = true;
  settle(out);
}

void InboundDialogue::on_connect_failed(Effects& out) {
  if (opening_) server_failed(Ending::backend_unreachable, {}, out);
  settle(out);
}

void InboundDialogue::on_tls(Side side, const tls::SessionFacts& facts, Effects& out) {
  if (side == Side::client && state_ == State::handshake) on_client_tls(facts, out);
  if (side == Side::backend && opening_) {
    replies_ = ReplyReader();
    opening_->on_tls(out);
    server_is_ready(out);
  }
  progress_ = true;
  settle(out);
}

void InboundDialogue::on_tls_failed(Side side, Effects& out) {
  if (side == Side::client && state_ == State::handshake) finish(Ending::client_tls_failed, out);
  if (side == Side::backend && opening_) server_failed(Ending::backend_tls_failed, {}, out);
  settle(out);
}

void InboundDialogue::on_timer(Timer which, Effects& out) {
  armed_ = Timer::none;
  switch (which) {
    case Timer::none:
    case Timer::closing: break;
    case Timer::handshake:
      finish(Ending::timeout, out);  // no reply can be sent in the middle of it
      break;
    case Timer::greeting: server_failed(Ending::backend_unreachable, "the server took too long to begin", out); break;
    case Timer::backend_connect: server_failed(Ending::backend_unreachable, {}, out); break;
    case Timer::reply:
    case Timer::command:
    case Timer::data_block:
    case Timer::data_end:
      out.because(late());
      refuse_now(Refusal::timeout, Ending::timeout, out);
      break;
  }
  settle(out);
}

void InboundDialogue::on_closed(Side side, Effects& out) {
  if (side == Side::client) {
    client_closed_ = true;
  } else if (opening_) {
    const bool in_tls = opening_->state() == BackendOpening::State::handshake;
    const bool greets = opening_->state() == BackendOpening::State::greeting;
    server_failed(in_tls ? Ending::backend_tls_failed : Ending::backend_unreachable,
                  greets ? "the server went before it had greeted" : "the server went before it was ready", out);
  } else if (server_ == Server::open) {
    server_failed(owes_nothing() || server_said_farewell_ ? Ending::backend_closed : Ending::backend_lost, gone(), out);
  }
  settle(out);
}

void InboundDialogue::on_drain(Effects& out) {
  const bool again = std::exchange(draining_, true);
  if (again && idle()) refuse_now(Refusal::draining, Ending::draining, out);
  settle(out);
}

// --- after each event

bool InboundDialogue::takes_client_bytes() const {
  switch (state_) {
    case State::await_greeting:
    case State::await_backend:
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
bool InboundDialogue::must_wait() const {
  return answers_.size() >= outstanding_limit || (!server_pipelines_ && !answers_.empty());
}

void InboundDialogue::settle(Effects& out) {
  if (state_ == State::starttls && answers_.empty()) begin_client_tls(out);
  if (client_closed_ && !client_rest_) client_is_gone(out);
  arm(out);
}

// Time is counted for whoever owes something: the server while replies are outstanding, else the client.
void InboundDialogue::arm(Effects& out) {
  const Timer wanted = timer();
  if (state_ != State::ended && (progress_ || wanted != armed_)) out.arm(wanted);
  armed_ = wanted;
  progress_ = false;
}

Timer InboundDialogue::timer() const {
  switch (state_) {
    case State::await_greeting:
    case State::await_backend:
      return opening_ && opening_->state() == BackendOpening::State::connecting ? Timer::backend_connect
                                                                                : Timer::greeting;
    case State::handshake: return Timer::handshake;
    case State::within:
      if (input_.in_message()) return Timer::data_block;
      [[fallthrough]];
    case State::command:
    case State::await_reply:
    case State::starttls:
    case State::closing: return answers_.message_is_next() ? Timer::data_end : Timer::command;
    case State::ended: return Timer::none;
  }
  return Timer::none;
}

// All that the client sent has been used. What the server still owes for it is waited for.
void InboundDialogue::client_is_gone(Effects& out) {
  switch (state_) {
    case State::await_greeting: return finish(Ending::client_closed, out);
    case State::handshake: return finish(Ending::client_tls_failed, out);
    case State::within: return finish(Ending::client_lost, out);
    case State::command:
    case State::starttls:
      if (!answers_.empty()) return;
      if (standing_.certificate_missing) return finish(Ending::client_certificate, out);
      return finish(standing_.transaction ? Ending::client_lost : Ending::client_closed, out);
    case State::await_backend:
      if (!held_) finish(Ending::client_closed, out);
      return;
    case State::await_reply:
    case State::closing:
    case State::ended: return;
  }
}

// The server is dropped first, with whatever it has not read yet: half a message never gets an end.
void InboundDialogue::finish(Ending ending, Effects& out) {
  if (state_ == State::ended) return;
  if (server_ != Server::none && input_.sends_on()) out.drop_backend();
  enter(State::ended);
  out.finish(ending);
  answers_.clear();
  hello_.reset();
  held_.reset();
}

// --- our own replies

void InboundDialogue::answer(Refusal refusal, Effects& out) {
  if (answers_.refuse(refusal, verb_, out)) enter(State::closing);
  release_own_replies(out);
}

void InboundDialogue::release_own_replies(Effects& out) {
  if (const auto ending = answers_.release(out)) finish(*ending, out);
}

// Ends the session, whatever was outstanding.
void InboundDialogue::refuse_now(Refusal refusal, Ending ending, Effects& out) {
  if (state_ == State::ended) return;
  answers_.doubt_messages(refusal == Refusal::timeout ? "no reply in time" : "", chunk_under_way(), out);
  answers_.refuse_now(refusal, out);
  finish(ending, out);
}

void InboundDialogue::greet_ourselves(Effects& out) {
  if (draining_) return refuse_now(Refusal::draining, Ending::draining, out);
  out.send_copy(Side::client, "220 " + std::string(facts_.hostname) + " ESMTP\r\n");
  // Before STARTTLS nobody needs the server yet.
  if (facts_.listener->mode == config::TlsMode::starttls) return enter(State::command);
  enter(State::await_backend);
  dial(out);
}

// Before TLS with `greeting: gateway`, and for a client that only may say QUIT, there is no server to ask.
void InboundDialogue::answer_without_server(const Command& command, Effects& out) {
  switch (command.verb) {
    case Verb::quit:
      out.send(Side::client, "221 2.0.0 Bye\r\n");
      return finish(standing_.certificate_missing ? Ending::client_certificate : Ending::quit, out);
    case Verb::ehlo: {
      EhloReply reply;
      reply.add_line(facts_.hostname);
      reply.add_line("PIPELINING");
      const EhloReply shown = rewrite(reply, facts_.listener->ehlo, view());
      standing_.offer(shown);
      out.send_copy(Side::client, print(shown));
      break;
    }
    case Verb::helo:
      standing_.offer_nothing();
      out.send_copy(Side::client, "250 " + with_name(facts_.hostname, facts_.listener->ehlo.name) + "\r\n");
      break;
    default: out.send(Side::client, "250 2.0.0 Ok\r\n"); return;
  }
  outcome_.helo = command.argument;
  standing_.introduced_to_us = command.verb;
}

EhloView InboundDialogue::view() const {
  const auto& listener = *facts_.listener;
  return {.offer_starttls = listener.mode == config::TlsMode::starttls && !standing_.tls && facts_.tls_available,
          .hide_auth = listener.auth_requires_tls && !standing_.tls};
}

// --- TLS with the client

// Everything the client was owed has gone out, and nothing of it was read behind its STARTTLS.
void InboundDialogue::begin_client_tls(Effects& out) {
  POSTERN_ASSERT(!input_.partial() && !client_rest_, "plaintext is left behind STARTTLS");
  if (client_closed_) return;
  out.send(Side::client, "220 2.0.0 Ready to start TLS\r\n");
  out.start_tls(Side::client);
  enter(State::handshake);
}

void InboundDialogue::on_client_tls(const tls::SessionFacts& facts, Effects& out) {
  const bool after_starttls = facts_.listener->mode == config::TlsMode::starttls;
  const bool certificate_wanted = facts_.listener->client_certificates.mode == config::ClientCertificateMode::require;
  standing_ = ClientStanding{};
  input_ = ClientInput(*facts_.listener);
  standing_.tls = true;
  standing_.tls_available = facts_.tls_available;
  standing_.ehlo_first = after_starttls;
  standing_.certificate_missing = certificate_wanted && facts.verification != tls::Verification::verified;
  outcome_.helo.clear();
  outcome_.authenticated = false;

  if (verdict_) return give_verdict(out);
  if (standing_.certificate_missing) {
    if (server_ != Server::none) out.drop_backend();
    server_ = Server::none;
    opening_.reset();
    enter(State::command);
    if (after_starttls) return;
    return answers_.refuse_now(Refusal::client_certificate, out);
  }
  if (!after_starttls && facts_.listener->greeting == config::GreetingMode::gateway) return greet_ourselves(out);
  if (!after_starttls) {
    enter(State::await_greeting);
    return server_is_ready(out);
  }
  if (server_ == Server::open && !server_knows_client_) {
    server_pipelines_ = false;  // until the new EHLO says so again
    return enter(State::command);
  }
  // What the plaintext phase did to the server's state goes with its connection.
  if (server_ != Server::none) out.drop_backend();
  enter(State::await_backend);
  dial(out);
}

}  // namespace postern::smtp
