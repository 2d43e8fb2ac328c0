#include "proxy/smtp/inbound_dialogue.h"

#include <array>

namespace postern::smtp {

InboundDialogue::InboundDialogue(const InboundFacts& facts, HandshakeGate* gate)
    : TwoPartyDialogue(*facts.listener, {.reply = Timer::command, .left = Refusal::backend_unavailable},
                       facts.tls_available, facts.notes_envelopes, gate),
      facts_(facts) {}

InboundDialogue::~InboundDialogue() = default;

unsigned InboundDialogue::may_follow(State state) const {
  using enum State;
  // In the order of the enumerators.
  static constexpr std::array<unsigned, state_count> moves = {
      states(handshake, command, opening),                      // await_greeting
      states(await_greeting, opening, command),                 // handshake
      states(opening, await_reply, within, starttls, closing),  // command
      states(),                                                 // await_turn
      states(command, closing),                                 // opening
      states(),                                                 // await_policy
      states(opening, command, within),                         // await_reply
      states(command, await_reply),                             // within
      states(handshake, closing),                               // starttls
      states(),                                                 // closing
      0U,                                                       // ended
  };
  return moves[static_cast<std::size_t>(state)];
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

Timer InboundDialogue::opening_timer() const {
  return opening_ && opening_->state() == BackendOpening::State::connecting ? Timer::connect : Timer::greeting;
}

void InboundDialogue::time_is_up(Timer which, Effects& out) {
  switch (which) {
    case Timer::none:
    case Timer::closing: return;
    case Timer::handshake: return finish(Ending::timeout, out);
    case Timer::greeting: return server_gone(Ending::server_unreachable, "the server took too long to begin", out);
    case Timer::connect: return server_gone(Ending::server_unreachable, {}, out);
    case Timer::reply:
    case Timer::command:
    case Timer::data_block:
    case Timer::data_end: out.because(late()); return refuse_now(Refusal::timeout, Ending::timeout, out);
  }
}

// --- our own replies

void InboundDialogue::greet_ourselves(Effects& out) {
  if (draining_) return refuse_now(Refusal::draining, Ending::draining, out);
  out.send_copy(Side::client, "220 " + std::string(facts_.hostname) + " ESMTP\r\n");
  // Before STARTTLS nobody needs the server yet.
  if (facts_.listener->mode == config::TlsMode::starttls) return enter(State::command);
  enter(State::opening);
  dial(out);
}

// Before TLS with `greeting: gateway`, and for a client that only may say QUIT, there is no server to ask.
void InboundDialogue::answer_without_server(const Command& command, Effects& out) {
  switch (command.verb) {
    case Verb::quit:
      return bid_farewell(out, standing_.certificate_missing ? Ending::client_certificate : Ending::quit);
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

void InboundDialogue::on_client_tls(const tls::SessionFacts& facts, Effects& out) {
  const bool after_starttls = facts_.listener->mode == config::TlsMode::starttls;
  const bool certificate_wanted = facts_.listener->client_certificates.mode == config::ClientCertificateMode::require;
  standing_.certificate_missing = certificate_wanted && facts.verification != tls::Verification::verified;

  if (last_words_) return say_last_words(out);
  if (standing_.certificate_missing) {
    if (server_ != Server::none) out.drop_server();
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
  if (server_ != Server::none) out.drop_server();
  enter(State::opening);
  dial(out);
}

}  // namespace postern::smtp
