// The client's half of InboundDialogue: its commands and its content.
#include <utility>

#include "config/assert.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/inbound_dialogue.h"
#include "proxy/smtp/xclient.h"

namespace postern::smtp {

namespace {

// What a server may have been told in plaintext and still be asked after TLS: nothing else leaves a trace.
bool leaves_no_trace(Verb verb) {
  return verb == Verb::ehlo || verb == Verb::helo || verb == Verb::noop || verb == Verb::rset || verb == Verb::quit ||
         verb == Verb::help;
}

Expected reply_to(Verb verb) {
  if (verb == Verb::mail) return Expected::mail;
  if (verb == Verb::rcpt) return Expected::recipient;
  if (verb == Verb::rset) return Expected::reset;
  if (verb == Verb::data) return Expected::data;
  if (verb == Verb::auth) return Expected::auth;
  if (verb == Verb::quit) return Expected::quit;
  return Expected::plain;
}

// Nothing behind these is read before the server has answered (RFC 2920 3.1; RFC 4954 4).
bool is_sync_point(Expected reply) {
  return reply == Expected::data || reply == Expected::auth || reply == Expected::quit;
}

}  // namespace

void InboundDialogue::serve_client(std::string_view& rest, Effects& out) {
  switch (state_) {
    case State::command:
    case State::within: return take(rest, out);
    case State::starttls: return starttls(rest, out);
    case State::handshake:
    case State::closing:
      rest = {};  // never used
      return;
    case State::await_greeting:
    case State::await_backend:
    case State::await_reply:
    case State::ended: POSTERN_ASSERT(false, "the client must wait in this state");
  }
}

void InboundDialogue::take(std::string_view& rest, Effects& out) {
  using Item = ClientInput::Item;
  if (input_.in_message()) progress_ = true;
  const ClientInput::Taken taken = input_.take(rest, standing_, out);
  switch (taken.item) {
    case Item::more: return;
    case Item::no_command: return not_smtp(out);
    case Item::command:
      if (answers_.empty()) progress_ = true;
      return on_line(taken.line, out);
    case Item::response: return response(taken.line, out);
    case Item::content_end: answers_.expect(Expected::end_of_data); return enter(State::command);
    case Item::chunk_end: return enter(State::command);
    case Item::discarded: return verdict_ ? give_verdict(out) : enter(State::command);
    case Item::bare_newline: return refuse_content(Refusal::bare_newline, Ending::bare_newline, out);
    case Item::too_large: return refuse_content(Refusal::message_too_large, Ending::message_too_large, out);
  }
}

void InboundDialogue::not_smtp(Effects& out) {
  out.because(spoke_no_smtp);
  answer(Refusal::not_smtp, out);
}

void InboundDialogue::on_line(const Line& line, Effects& out) {
  if (server_ == Server::gone) return answer_for_who_left(line, out);
  if (draining_ && !standing_.transaction && answers_.empty()) return answer(Refusal::draining, out);
  const Command command = parse_command(line.text);
  verb_ = command.verb;
  if (line.too_long) return answer(Refusal::line_too_long, out);
  if (line.raw.size() > facts_.listener->limits.command_length && command.verb != Verb::auth) {
    return answer(Refusal::line_too_long, out);
  }
  const bool malformed =
      line.nul || line.bare_cr || (line.bare_lf && facts_.listener->bare_newline == config::BareNewline::reject);
  const auto refusal =
      malformed ? std::optional(Refusal::malformed_line) : refusal_for(command, standing_, *facts_.listener);
  if (refusal) return refuse_command(command, *refusal, out);
  if (command.verb == Verb::starttls) return enter(State::starttls);
  on_command(command, line, out);
}

// Plaintext behind STARTTLS: whoever wrote it, it must never be taken for something said inside TLS (CVE-2011-0411).
void InboundDialogue::starttls(std::string_view& rest, Effects& out) {
  rest = {};
  answer(Refusal::starttls_injection, out);
}

void InboundDialogue::on_command(const Command& command, const Line& line, Effects& out) {
  const bool introduction = command.verb == Verb::ehlo || command.verb == Verb::helo;
  if (server_ == Server::none) {
    const bool ours =
        introduction || command.verb == Verb::noop || command.verb == Verb::rset || command.verb == Verb::quit;
    return ours ? answer_without_server(command, out) : dial_for(line, out);
  }
  if (introduction) return hello(command, out);
  if (!leaves_no_trace(command.verb)) server_knows_client_ = true;
  if (command.verb == Verb::bdat) return bdat(command, line, out);
  if (command.verb == Verb::mail || command.verb == Verb::rset) {
    input_.begin_message();
    oversized_ = false;
  }
  const Expected reply = reply_to(command.verb);
  if (reply == Expected::mail) outcome_.envelope.mail(command.argument);
  if (reply == Expected::recipient) outcome_.envelope.recipient(command.argument);
  if (command.verb == Verb::mail && standing_.says_size_in_vain(server_extensions_)) {
    out.send_copy(Side::backend, without_parameter(line.text, "SIZE") + "\r\n");
    return answers_.expect(reply);
  }
  forward(line, reply, out);
  if (is_sync_point(reply)) enter(State::await_reply);
}

void InboundDialogue::forward(const Line& line, Expected reply, Effects& out) {
  if (line.bare_lf) {
    out.send_copy(Side::backend, std::string(line.text) + "\r\n");
  } else if (line.in_input) {
    out.send(Side::backend, line.raw);
  } else {
    out.send_copy(Side::backend, line.raw);
  }
  answers_.expect(reply);
}

void InboundDialogue::hello(const Command& command, Effects& out) {
  const bool extended = command.verb == Verb::ehlo;
  outcome_.helo = command.argument;
  input_.begin_message();
  oversized_ = false;
  hello_ = std::make_unique<HelloExchange>(extended, command.argument, words_before_hello(extended, command.argument),
                                           server_knows_ehlo_);
  hello_->start(out);
  answers_.expect(Expected::hello);
  enter(State::await_reply);
}

// Once for each connection to the server: with ADDR our authority to speak for clients may end.
std::vector<std::string> InboundDialogue::words_before_hello(bool extended, std::string_view name) const {
  if (xclient_listed_.empty()) return {};
  return xclient_commands({facts_.client_address, facts_.client_port, extended, std::string(name)}, xclient_listed_);
}

// --- refusals

void InboundDialogue::refuse_command(const Command& command, Refusal refusal, Effects& out) {
  if (command.verb == Verb::bdat) return refuse_bdat(command, refusal, out);
  if (command.verb == Verb::rcpt) outcome_.envelope.recipient_refused(command.argument, row(refusal).reply);
  answer(refusal, out);
}

// Whatever the reason: the octets that follow are content, never commands.
void InboundDialogue::refuse_bdat(const Command& command, Refusal refusal, Effects& out) {
  const auto argument = parse_bdat_argument(command.argument);
  if (!argument) return answer(Refusal::malformed_bdat, out);
  answer(refusal, out);
  discard_chunk(*argument);
}

// --- BDAT

void InboundDialogue::bdat(const Command& command, const Line& line, Effects& out) {
  const auto argument = parse_bdat_argument(command.argument);
  if (!argument) return answer(Refusal::malformed_bdat, out);
  if (oversized_ || !input_.fits(argument->size)) return bdat_too_large(*argument, out);
  forward(line, argument->last ? Expected::last_chunk : Expected::chunk, out);
  input_.expect_chunk(*argument);
  if (input_.in_message()) enter(State::within);
}

// Chunks that have reached the server are taken back with its transaction, once.
void InboundDialogue::bdat_too_large(const BdatArgument& argument, Effects& out) {
  if (!std::exchange(oversized_, true)) {
    answers_.message_refused(row(Refusal::message_too_large).reply, out);
    out.send(Side::backend, "RSET\r\n");
    answers_.expect(Expected::swallowed);
  }
  answer(Refusal::message_too_large, out);
  discard_chunk(argument);
}

// Unless the reply to the BDAT has ended the session.
void InboundDialogue::discard_chunk(const BdatArgument& argument) {
  if (state_ != State::command) return;
  input_.discard_chunk(argument);
  if (input_.in_message()) enter(State::within);
}

// --- DATA

void InboundDialogue::refuse_content(Refusal refusal, Ending ending, Effects& out) {
  answers_.note(refusal, Verb::data, out);
  end_content(row(refusal).reply, ending, out);
}

// The message is refused without an end of data: the server, left in the middle of it, delivers nothing.
void InboundDialogue::end_content(std::string_view reply, Ending ending, Effects& out) {
  answers_.message_refused(reply, out);
  out.drop_backend();
  server_ = Server::none;
  verdict_ = std::make_unique<Verdict>(Verdict{std::string(reply), ending});
  input_.discard();
  if (!input_.in_message()) give_verdict(out);
}

void InboundDialogue::give_verdict(Effects& out) {
  const auto verdict = std::exchange(verdict_, nullptr);
  out.send_copy(Side::client, verdict->reply);
  finish(verdict->ending, out);
}

// --- AUTH

// Opaque, and recorded nowhere. What could not be a response cancels the exchange instead (RFC 4954 4): the server
// answers that, so its reply and the client's line still belong together.
void InboundDialogue::response(const Line& line, Effects& out) {
  progress_ = true;
  if (line.too_long || line.nul || line.bare_cr) {
    answers_.note(line.too_long ? Refusal::line_too_long : Refusal::malformed_line, Verb::auth, out);
    out.send(Side::backend, "*\r\n");
    answers_.expect(Expected::auth);
  } else {
    forward(line, Expected::auth, out);
  }
  enter(State::await_reply);
}

}  // namespace postern::smtp
