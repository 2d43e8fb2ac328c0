// What OutboundDialogue refuses of a client by itself, before any server hears of it.
#include "proxy/smtp/command.h"
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

std::optional<Refusal> OutboundDialogue::refusal_for(const Command& command) const {
  if (const auto refusal = smtp::refusal_for(command, standing_, *facts_.listener)) return refusal;
  switch (command.verb) {
    case Verb::mail:
    case Verb::rcpt:
    case Verb::data: return introduced_ || !hello_refusal_.empty() ? std::nullopt : std::optional(Refusal::hello_first);
    case Verb::vrfy:
    case Verb::expn:
    case Verb::help:
    case Verb::etrn:
    case Verb::xclient:
    case Verb::xforward:
    case Verb::http:
    case Verb::other:
    case Verb::invalid: return Refusal::verb_not_offered;
    case Verb::ehlo:
    case Verb::helo:
    case Verb::bdat:
    case Verb::rset:
    case Verb::noop:
    case Verb::quit:
    case Verb::auth:
    case Verb::starttls: return std::nullopt;
  }
  return Refusal::verb_not_offered;
}

// With a reply that says more than its row, or the server's own.
void OutboundDialogue::turn_away(const Command& command, Refusal refusal, std::string_view reply, Effects& out) {
  if (command.verb == Verb::rcpt) outcome_.envelope.recipient_refused(command.argument, reply);
  answers_.note_turned_away(refusal, to_string(command.verb), reply, out);
  say(reply, out);
}

}  // namespace postern::smtp
