// The content of OutboundDialogue: what the client sends by DATA or BDAT, passed on or thrown away.
#include "proxy/smtp/command.h"
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

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
  forward_chunk(line, *argument, out);
}

// Chunks that have reached the server are taken back with its transaction: RSET comes before the next MAIL.
void OutboundDialogue::bdat_too_large(const BdatArgument& argument, Effects& out) {
  answers_.message_refused(row(Refusal::message_too_large).reply, out);
  transaction_.refusal = row(Refusal::message_too_large).reply;
  transaction_.refused_as = Refusal::message_too_large;
  answer(Refusal::message_too_large, out);
  discard_chunk(argument);
}

void OutboundDialogue::abandon_server(Effects& out) {
  drop_remote(out);
  remote_.stage = RemoteState::Stage::lost;
}

}  // namespace postern::smtp
