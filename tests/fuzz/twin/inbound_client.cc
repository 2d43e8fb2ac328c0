// The client's half of InboundDialogue: its commands and its content.
#include <algorithm>
#include <limits>
#include <utility>

#include "config/assert.h"
#include "tests/fuzz/twin/command.h"
#include "tests/fuzz/twin/inbound_dialogue.h"
#include "tests/fuzz/twin/xclient.h"

namespace postern::smtp::before {

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
    case State::command: return command(rest, out);
    case State::sasl: return sasl(rest, out);
    case State::content: return content(rest, out);
    case State::chunk: return chunk(rest, out);
    case State::discard_content: return discard_content(rest, out);
    case State::discard_chunk: return discard_chunk(rest, out);
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

// AUTH may carry its first response (RFC 4954 4); other lines are held to the operator's limit once they are whole.
std::size_t InboundDialogue::line_limit() const {
  const std::size_t commands = facts_.listener->limits.command_length;
  return standing_.offers("AUTH") ? std::max(commands, auth_line_limit) : commands;
}

void InboundDialogue::command(std::string_view& rest, Effects& out) {
  const std::string_view input = rest;
  if (!standing_.lines.partial() && is_no_command(rest)) return not_smtp(rest, out);
  auto line = standing_.lines.next(rest, line_limit());
  if (!line) return;
  forgive_end(*line);
  if (expected_.empty()) progress_ = true;
  const bool in_input = line->raw.data() + line->raw.size() == rest.data() && line->raw.size() <= input.size();
  on_line(*line, in_input, rest, out);
}

void InboundDialogue::not_smtp(std::string_view& rest, Effects& out) {
  rest = {};
  out.because(spoke_no_smtp);
  answer(Refusal::not_smtp, out);
}

void InboundDialogue::on_line(const Line& line, bool in_input, std::string_view& rest, Effects& out) {
  if (server_ == Server::gone) return answer_for_who_left(line, out);
  if (draining_ && !standing_.transaction && expected_.empty()) return answer(Refusal::draining, out);
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
  if (command.verb == Verb::starttls) {
    enter(State::starttls);
    if (!rest.empty()) starttls(rest, out);
    return;
  }
  on_command(command, line, in_input, out);
}

// Plaintext behind STARTTLS: whoever wrote it, it must never be taken for something said inside TLS (CVE-2011-0411).
void InboundDialogue::starttls(std::string_view& rest, Effects& out) {
  rest = {};
  answer(Refusal::starttls_injection, out);
}

void InboundDialogue::on_command(const Command& command, const Line& line, bool in_input, Effects& out) {
  const bool introduction = command.verb == Verb::ehlo || command.verb == Verb::helo;
  if (server_ == Server::none) {
    const bool ours =
        introduction || command.verb == Verb::noop || command.verb == Verb::rset || command.verb == Verb::quit;
    return ours ? answer_without_server(command, out) : dial_for(line, out);
  }
  if (introduction) return hello(command, out);
  if (!leaves_no_trace(command.verb)) server_knows_client_ = true;
  if (command.verb == Verb::bdat) return bdat(command, line, in_input, out);
  if (command.verb == Verb::mail || command.verb == Verb::rset) {
    octets_ = 0;
    oversized_ = false;
  }
  const Expected reply = reply_to(command.verb);
  if (reply == Expected::mail) outcome_.envelope.mail(command.argument);
  if (reply == Expected::recipient) outcome_.envelope.recipient(command.argument);
  if (command.verb == Verb::mail && standing_.says_size_in_vain(server_extensions_)) {
    out.send_copy(Side::backend, without_parameter(line.text, "SIZE") + "\r\n");
    return expected_.push(reply);
  }
  forward(line, in_input, reply, out);
  if (is_sync_point(reply)) enter(State::await_reply);
}

void InboundDialogue::forward(const Line& line, bool in_input, Expected reply, Effects& out) {
  if (line.bare_lf) {
    out.send_copy(Side::backend, std::string(line.text) + "\r\n");
  } else if (in_input) {
    out.send(Side::backend, line.raw);
  } else {
    out.send_copy(Side::backend, line.raw);
  }
  expected_.push(reply);
}

void InboundDialogue::hello(const Command& command, Effects& out) {
  const bool extended = command.verb == Verb::ehlo;
  outcome_.helo = command.argument;
  octets_ = 0;
  oversized_ = false;
  hello_ = std::make_unique<HelloExchange>(extended, command.argument, words_before_hello(extended, command.argument),
                                           server_knows_ehlo_);
  hello_->start(out);
  expected_.push(Expected::hello);
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
  if (state_ == State::command) begin_chunk(State::discard_chunk, argument->size);
}

// --- BDAT

void InboundDialogue::begin_chunk(State state, std::uint64_t size) {
  chunk_left_ = size;
  if (size > 0) enter(state);
}

void InboundDialogue::bdat(const Command& command, const Line& line, bool in_input, Effects& out) {
  const auto argument = parse_bdat_argument(command.argument);
  if (!argument) return answer(Refusal::malformed_bdat, out);
  const auto& limit = facts_.listener->ehlo.size_limit;
  if (oversized_ || (limit && (octets_ > limit->bytes || argument->size > limit->bytes - octets_))) {
    return bdat_too_large(*argument, out);
  }
  octets_ = argument->last ? 0 : octets_ + argument->size;
  forward(line, in_input, argument->last ? Expected::last_chunk : Expected::chunk, out);
  begin_chunk(State::chunk, argument->size);
}

// Chunks that have reached the server are taken back with its transaction, once.
void InboundDialogue::bdat_too_large(const BdatArgument& argument, Effects& out) {
  if (!std::exchange(oversized_, true)) {
    out.message(MessageResult::refused_permanently);
    ++outcome_.messages_refused;
    outcome_.envelope.message_answered(row(Refusal::message_too_large).reply);
    out.send(Side::backend, "RSET\r\n");
    expected_.push(Expected::swallowed);
  }
  answer(Refusal::message_too_large, out);
  if (state_ == State::command) begin_chunk(State::discard_chunk, argument.size);
}

void InboundDialogue::chunk(std::string_view& rest, Effects& out) {
  const auto octets = rest.substr(0, std::min<std::uint64_t>(rest.size(), chunk_left_));
  out.send(Side::backend, octets);
  rest.remove_prefix(octets.size());
  chunk_left_ -= octets.size();
  progress_ = true;
  if (chunk_left_ == 0) enter(State::command);
}

void InboundDialogue::discard_chunk(std::string_view& rest, Effects& out) {
  const std::uint64_t octets = std::min<std::uint64_t>(rest.size(), chunk_left_);
  rest.remove_prefix(octets);
  chunk_left_ -= octets;
  progress_ = true;
  if (chunk_left_ > 0) return;
  if (verdict_) return give_verdict(out);
  enter(State::command);
}

// --- DATA

void InboundDialogue::content(std::string_view& rest, Effects& out) {
  constexpr std::uint64_t terminator = 3;  // ".CRLF" is no part of the message
  const auto& limit = facts_.listener->ehlo.size_limit;
  bool too_large = false;
  const auto scanned = scanner_.scan(rest, [&](std::string_view span) {
    octets_ += span.size();
    if (limit && octets_ > limit->bytes && octets_ - limit->bytes > terminator) too_large = true;
    if (!too_large) out.send(Side::backend, span);
  });
  rest.remove_prefix(scanned.consumed);
  progress_ = true;
  const bool at_its_end = scanned.outcome != ContentScanner::Outcome::more;
  if (too_large) {  // first: what made it so came before what was rejected
    out.refused(Refusal::message_too_large, to_string(Verb::data));
    ++outcome_.errors;
    return end_content(row(Refusal::message_too_large).reply, Ending::message_too_large, at_its_end, out);
  }
  if (scanned.outcome == ContentScanner::Outcome::rejected) {
    out.refused(Refusal::bare_newline, to_string(Verb::data));
    ++outcome_.errors;
    return end_content(row(Refusal::bare_newline).reply, Ending::bare_newline, true, out);
  }
  if (!at_its_end) return;
  octets_ = 0;
  expected_.push(Expected::end_of_data);
  enter(State::command);
}

// The message is refused without an end of data: the server, left in the middle of it, delivers nothing.
void InboundDialogue::end_content(std::string_view reply, Ending ending, bool at_its_end, Effects& out) {
  out.message(reply.starts_with('4') ? MessageResult::refused_temporarily : MessageResult::refused_permanently);
  ++outcome_.messages_refused;
  outcome_.envelope.message_answered(reply);
  out.drop_backend();
  server_ = Server::none;
  verdict_ = std::make_unique<Verdict>(Verdict{std::string(reply), ending});
  scanner_.discard();
  enter(State::discard_content);
  if (at_its_end) give_verdict(out);
}

void InboundDialogue::discard_content(std::string_view& rest, Effects& out) {
  const auto scanned = scanner_.scan(rest, [](std::string_view) {});
  rest.remove_prefix(scanned.consumed);
  progress_ = true;
  if (scanned.outcome != ContentScanner::Outcome::more) give_verdict(out);
}

void InboundDialogue::give_verdict(Effects& out) {
  const auto verdict = std::exchange(verdict_, nullptr);
  out.send_copy(Side::client, verdict->reply);
  finish(verdict->ending, out);
}

// --- AUTH

// Opaque, and recorded nowhere. What could not be a response cancels the exchange instead (RFC 4954 4): the server
// answers that, so its reply and the client's line still belong together.
void InboundDialogue::sasl(std::string_view& rest, Effects& out) {
  const std::string_view input = rest;
  const auto line = standing_.lines.next(rest, sasl_line_limit);
  if (!line) return;
  progress_ = true;
  if (line->too_long || line->nul || line->bare_cr) {
    out.refused(line->too_long ? Refusal::line_too_long : Refusal::malformed_line, to_string(Verb::auth));
    ++outcome_.errors;
    out.send(Side::backend, "*\r\n");
    expected_.push(Expected::auth);
  } else {
    const bool in_input = line->raw.data() + line->raw.size() == rest.data() && line->raw.size() <= input.size();
    forward(*line, in_input, Expected::auth, out);
  }
  enter(State::await_reply);
}

}  // namespace postern::smtp::before
