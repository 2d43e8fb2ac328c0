// The client's half of InboundDialogue: its commands.
#include <utility>

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
  if (command.verb == Verb::mail || command.verb == Verb::rset) begin_message();
  const Expected reply = reply_to(command.verb);
  if (reply == Expected::mail) outcome_.envelope.mail(command.argument);
  if (reply == Expected::recipient) outcome_.envelope.recipient(command.argument);
  if (command.verb == Verb::mail && standing_.says_size_in_vain(server_extensions_)) {
    out.send_copy(Side::server, without_parameter(line.text, "SIZE") + "\r\n");
    return answers_.expect(reply);
  }
  forward(line, reply, out);
  if (is_sync_point(reply)) enter(State::await_reply);
}

void InboundDialogue::begin_message() {
  input_.begin_message();
  oversized_ = false;
}

void InboundDialogue::hello(const Command& command, Effects& out) {
  outcome_.helo = command.argument;
  begin_message();
  begin_hello(command.verb == Verb::ehlo, out);
  enter(State::await_reply);
}

void InboundDialogue::begin_hello(bool extended, Effects& out) {
  hello_ = std::make_unique<HelloExchange>(extended, outcome_.helo, words_before_hello(extended), server_knows_ehlo_);
  hello_->start(out);
  answers_.expect(Expected::hello);
}

// Once for each connection to the server: with ADDR our authority to speak for clients may end.
std::vector<std::string> InboundDialogue::words_before_hello(bool extended) const {
  if (xclient_listed_.empty()) return {};
  return xclient_commands({*facts_.client_address, facts_.client_port, extended, outcome_.helo}, xclient_listed_);
}

// --- BDAT

void InboundDialogue::bdat(const Command& command, const Line& line, Effects& out) {
  const auto argument = parse_bdat_argument(command.argument);
  if (!argument) return answer(Refusal::malformed_bdat, out);
  if (oversized_ || !input_.fits(argument->size)) return bdat_too_large(*argument, out);
  forward_chunk(line, *argument, out);
}

// Chunks that have reached the server are taken back with its transaction, once.
void InboundDialogue::bdat_too_large(const BdatArgument& argument, Effects& out) {
  if (!std::exchange(oversized_, true)) {
    answers_.message_refused(row(Refusal::message_too_large).reply, out);
    out.send(Side::server, "RSET\r\n");
    answers_.expect(Expected::swallowed);
  }
  answer(Refusal::message_too_large, out);
  discard_chunk(argument);
}

}  // namespace postern::smtp
