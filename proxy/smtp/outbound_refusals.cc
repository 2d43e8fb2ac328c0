// What OutboundDialogue refuses of a client by itself, before any server hears of it.
#include "proxy/smtp/command.h"
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

std::optional<Refusal> OutboundDialogue::refusal_for(const Command& command) const {
  switch (command.verb) {
    case Verb::http: return Refusal::http_request;
    case Verb::invalid: return Refusal::malformed_line;
    case Verb::xclient:
    case Verb::xforward: return Refusal::xclient_forbidden;
    case Verb::starttls: return starttls_refusal(command);
    case Verb::ehlo:
    case Verb::helo: return is_helo_name(command.argument) ? std::nullopt : std::optional(Refusal::malformed_helo);
    case Verb::rset:
    case Verb::noop:
    case Verb::quit: return std::nullopt;
    case Verb::mail:
    case Verb::rcpt:
    case Verb::data:
      if (standing_.ehlo_first) return Refusal::ehlo_first;
      return introduced_ || !hello_refusal_.empty() ? std::nullopt : std::optional(Refusal::hello_first);
    case Verb::bdat:
    case Verb::auth:
      if (standing_.ehlo_first) return Refusal::ehlo_first;
      if (!standing_.offers(command)) return Refusal::verb_not_offered;
      if (command.verb == Verb::bdat || standing_.takes_mechanism(command.argument)) return std::nullopt;
      return Refusal::mechanism_not_offered;
    case Verb::vrfy:
    case Verb::expn:
    case Verb::help:
    case Verb::etrn:
    case Verb::other: break;
  }
  return standing_.ehlo_first ? Refusal::ehlo_first : Refusal::verb_not_offered;
}

std::optional<Refusal> OutboundDialogue::starttls_refusal(const Command& command) const {
  if (standing_.tls) return Refusal::starttls_active;
  if (facts_.listener->mode != config::TlsMode::starttls) return Refusal::starttls_not_offered;
  if (!command.argument.empty()) return Refusal::starttls_argument;
  if (!standing_.tls_available) return Refusal::tls_unavailable;
  return std::nullopt;
}

// With a reply that says more than its row, or the server's own.
void OutboundDialogue::turn_away(const Command& command, Refusal refusal, std::string_view reply, Effects& out) {
  if (command.verb == Verb::rcpt) outcome_.envelope.recipient_refused(command.argument, reply);
  out.turned_away(refusal, to_string(command.verb), reply);
  say(reply, out);
}

}  // namespace postern::smtp
