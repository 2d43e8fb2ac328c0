// The client's half of TwoPartyDialogue: commands up to where each direction decides, content, our own replies.
#include <utility>

#include "config/assert.h"
#include "proxy/smtp/two_party_dialogue.h"

namespace postern::smtp {

bool TwoPartyDialogue::takes_client_bytes() const {
  switch (state_) {
    case State::await_greeting:
    case State::await_turn:
    case State::opening:
    case State::await_policy:
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
bool TwoPartyDialogue::must_wait() const {
  return !answers_.empty() && (answers_.size() >= outstanding_limit || !server_pipelines());
}

void TwoPartyDialogue::serve_client(std::string_view& rest, Effects& out) {
  switch (state_) {
    case State::command:
    case State::within: return take(rest, out);
    // Plaintext behind STARTTLS: whoever wrote it, it must never be taken for something said inside TLS
    // (CVE-2011-0411).
    case State::starttls: rest = {}; return answer(Refusal::starttls_injection, out);
    case State::handshake:
    case State::closing:
      rest = {};  // never used
      return;
    case State::await_greeting:
    case State::await_turn:
    case State::opening:
    case State::await_policy:
    case State::await_reply:
    case State::ended: POSTERN_ASSERT(false, "the client must wait in this state");
  }
}

void TwoPartyDialogue::take(std::string_view& rest, Effects& out) {
  using Item = ClientInput::Item;
  if (input_.in_message()) progress_ = true;
  const ClientInput::Taken taken = input_.take(rest, standing_, out);
  switch (taken.item) {
    case Item::more: return;
    case Item::no_command: return not_smtp(out);
    case Item::command:
      if (answers_.empty()) progress_ = true;
      ++commands_;
      connections_before_ = connections_;
      return on_line(taken.line, out);
    case Item::response: return response(taken.line, out);
    case Item::content_end: answers_.expect(Expected::end_of_data); return enter(State::command);
    case Item::chunk_end: return enter(State::command);
    case Item::discarded: return last_words_ ? say_last_words(out) : enter(State::command);
    case Item::bare_newline: return refuse_content(Refusal::bare_newline, Ending::bare_newline, out);
    case Item::too_large: return refuse_content(Refusal::message_too_large, Ending::message_too_large, out);
  }
}

// --- commands

void TwoPartyDialogue::not_smtp(Effects& out) {
  out.because(spoke_no_smtp);
  answer(Refusal::not_smtp, out);
}

void TwoPartyDialogue::on_line(const Line& line, Effects& out) {
  if (left_with_) return answer_for_who_left(line, out);
  if (draining_ && !in_transaction() && answers_.empty()) return answer(Refusal::draining, out);
  const Command command = parse_command(line.text);
  verb_ = command.verb;
  const config::Listener& listener = input_.listener();
  const bool too_long = line.raw.size() > listener.limits.command_length && command.verb != Verb::auth;
  if (line.too_long || too_long) return answer(Refusal::line_too_long, out);
  const bool bare_lf = line.bare_lf && listener.bare_newline == config::BareNewline::reject;
  if (line.nul || line.bare_cr || bare_lf) return refuse_command(command, Refusal::malformed_line, out);
  obey(command, line, out);
}

void TwoPartyDialogue::obey(const Command& command, const Line& line, Effects& out) {
  if (const auto refusal = refusal_for(command)) return refuse_command(command, *refusal, out);
  if (command.verb == Verb::starttls) return starttls(command, out);
  on_command(command, line, out);
}

void TwoPartyDialogue::starttls(const Command& command, Effects& out) {
  if (gate_ != nullptr && !gate_->may_begin_handshake()) {
    return refuse_command(command, Refusal::client_handshakes, out);
  }
  enter(State::starttls);
}

void TwoPartyDialogue::forward(const Line& line, Expected reply, Effects& out) {
  if (line.bare_lf) {
    out.send_copy(Side::server, std::string(line.text) + "\r\n");
  } else if (line.in_input) {
    out.send(Side::server, line.raw);
  } else {
    out.send_copy(Side::server, line.raw);
  }
  answers_.expect(reply);
}

void TwoPartyDialogue::refuse_command(const Command& command, Refusal refusal, Effects& out) {
  if (command.verb == Verb::bdat) return refuse_bdat(command, refusal, out);
  if (command.verb == Verb::rcpt) outcome_.envelope.recipient_refused(command.argument, row(refusal).reply);
  answer(refusal, out);
}

void TwoPartyDialogue::hold(const Line& line, State state) {
  held_ = std::make_unique<std::string>(line.text);
  enter(state);
}

void TwoPartyDialogue::resume(Effects& out) {
  enter(State::command);
  const auto held = std::exchange(held_, nullptr);
  if (!held) return;
  const std::string raw = *held + "\r\n";
  Line line;
  line.text = *held;
  line.raw = raw;
  resumed(line, out);
}

// A response is opaque, and recorded nowhere. What could not be one cancels the exchange instead (RFC 4954 4): the
// server answers that, so its reply and the client's line still belong together.
void TwoPartyDialogue::response(const Line& line, Effects& out) {
  progress_ = true;
  if (line.too_long || line.nul || line.bare_cr) {
    answers_.note(line.too_long ? Refusal::line_too_long : Refusal::malformed_line, to_string(Verb::auth), out);
    out.send(Side::server, "*\r\n");
    answers_.expect(Expected::auth);
  } else {
    forward(line, Expected::auth, out);
  }
  enter(State::await_reply);
}

// A client that has had its last reply would take another, unasked, for a failure of what it was told before.
void TwoPartyDialogue::answer_for_who_left(const Line& line, Effects& out) {
  if (parse_command(line.text).verb == Verb::quit) return bid_farewell(out);
  refuse_now(words_.left, *left_with_, out);
}

// --- content

void TwoPartyDialogue::forward_chunk(const Line& line, const BdatArgument& argument, Effects& out) {
  forward(line, argument.last ? Expected::last_chunk : Expected::chunk, out);
  input_.expect_chunk(argument);
  if (input_.in_message()) enter(State::within);
}

// Unless the reply to the BDAT has ended the session.
void TwoPartyDialogue::discard_chunk(const BdatArgument& argument) {
  if (state_ != State::command) return;
  input_.discard_chunk(argument);
  if (input_.in_message()) enter(State::within);
}

// Whatever the reason: the octets that follow are content, never commands.
void TwoPartyDialogue::refuse_bdat(const Command& command, Refusal refusal, Effects& out) {
  const auto argument = parse_bdat_argument(command.argument);
  if (!argument) return answer(Refusal::malformed_bdat, out);
  answer(refusal, out);
  discard_chunk(*argument);
}

void TwoPartyDialogue::refuse_content(Refusal refusal, Ending ending, Effects& out) {
  answers_.note(refusal, to_string(Verb::data), out);
  end_content({std::string(row(refusal).reply), ending}, out);
}

void TwoPartyDialogue::end_content(LastWords last_words, Effects& out) {
  answers_.message_refused(last_words.reply, out);
  abandon_server(out);
  discard_message(std::move(last_words), out);
}

// A client that has authenticated cannot go on with another connection, where it has not.
void TwoPartyDialogue::discard_message(LastWords last_words, Effects& out) {
  if (standing_.authenticated && !last_words.ending) last_words.ending = Ending::server_lost;
  last_words_ = std::make_unique<LastWords>(std::move(last_words));
  input_.discard();
  if (!input_.in_message() && state_ != State::handshake) say_last_words(out);
}

void TwoPartyDialogue::say_last_words(Effects& out) {
  const auto last_words = std::exchange(last_words_, nullptr);
  end_transaction();
  POSTERN_ASSERT(answers_.empty(), "a reply overtakes another");
  out.send_copy(Side::client, last_words->reply);
  if (last_words->ending) return finish(*last_words->ending, out);
  enter(State::command);
}

// --- our own replies

void TwoPartyDialogue::answer(Refusal refusal, Effects& out) {
  before_reply(out);
  if (answers_.refuse(refusal, verb_, out)) enter(State::closing);
  release_own_replies(out);
}

void TwoPartyDialogue::release_own_replies(Effects& out) {
  if (const auto ending = answers_.release(out)) finish(*ending, out);
}

void TwoPartyDialogue::refuse_now(Refusal refusal, Ending ending, Effects& out) {
  if (state_ == State::ended) return;
  answers_.doubt_messages(refusal == Refusal::timeout ? "no reply in time" : "", chunk_under_way(), out);
  answers_.refuse_now(refusal, out);
  finish(ending, out);
}

// There is nothing left that could fail.
void TwoPartyDialogue::bid_farewell(Effects& out, Ending ending) {
  answers_.clear();
  out.send(Side::client, "221 2.0.0 Bye\r\n");
  finish(ending, out);
}

}  // namespace postern::smtp
