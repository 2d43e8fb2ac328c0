// The content of OutboundDialogue: what the client sends by DATA or BDAT, passed on or thrown away.
#include <utility>

#include "proxy/smtp/command.h"
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

// --- BDAT

void OutboundDialogue::bdat(const Command& command, const Line& line, Effects& out) {
  const auto argument = parse_bdat_argument(command.argument);
  if (!argument) return answer(Refusal::malformed_bdat, out);
  const bool at_once = transaction_.chunked && transaction_.refusal.empty();
  if (!at_once && !in_turn(line)) return;
  if (!transaction_.active()) return refuse_bdat(command, Refusal::mail_first, out);
  if (!transaction_.refusal.empty()) {
    turn_away(command, transaction_.refused_as, transaction_.refusal, out);
    return discard_chunk(*argument);
  }
  if (!transaction_.accepted || !transaction_.sent) return refuse_bdat(command, Refusal::recipients_first, out);
  // Offered by another connection: this server would take the chunk for commands.
  if (!link_.hello.has("CHUNKING")) return refuse_bdat(command, Refusal::remote_unusable, out);
  if (!input_.fits(argument->size)) return bdat_too_large(*argument, out);
  transaction_.chunked = !argument->last;
  forward(line, argument->last ? Expected::last_chunk : Expected::chunk, out);
  input_.expect_chunk(*argument);
  if (input_.in_message()) enter(State::within);
}

// Chunks that have reached the server are taken back with its transaction: RSET comes before the next MAIL.
void OutboundDialogue::bdat_too_large(const BdatArgument& argument, Effects& out) {
  answers_.message_refused(row(Refusal::message_too_large).reply, out);
  transaction_.refusal = row(Refusal::message_too_large).reply;
  transaction_.refused_as = Refusal::message_too_large;
  answer(Refusal::message_too_large, out);
  discard_chunk(argument);
}

// Unless the reply to the BDAT has ended the session.
void OutboundDialogue::discard_chunk(const BdatArgument& argument) {
  if (state_ != State::command) return;
  input_.discard_chunk(argument);
  if (input_.in_message()) enter(State::within);
}

// --- DATA

void OutboundDialogue::refuse_content(Refusal refusal, Ending ending, Effects& out) {
  answers_.note(refusal, Verb::data, out);
  end_content({std::string(row(refusal).reply), ending}, out);
}

// The message is refused without an end of data: the server, left in the middle of it, delivers nothing.
void OutboundDialogue::end_content(Verdict verdict, Effects& out) {
  answers_.message_refused(verdict.reply, out);
  drop_remote(out);
  remote_.stage = RemoteState::Stage::lost;
  discard_message(std::move(verdict), out);
}

// A client that has authenticated cannot go on with another connection, where it has not.
void OutboundDialogue::discard_message(Verdict verdict, Effects& out) {
  if (standing_.authenticated && !verdict.ending) verdict.ending = Ending::backend_lost;
  verdict_ = std::make_unique<Verdict>(std::move(verdict));
  input_.discard();
  if (!input_.in_message()) give_verdict(out);
}

void OutboundDialogue::give_verdict(Effects& out) {
  const auto verdict = std::exchange(verdict_, nullptr);
  transaction_ = {};
  say(verdict->reply, out);
  if (verdict->ending) return finish(*verdict->ending, out);
  enter(State::command);
}

}  // namespace postern::smtp
