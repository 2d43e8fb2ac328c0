// What InboundDialogue refuses of a client by itself, before the server hears of it.
#include <algorithm>

#include "proxy/smtp/command.h"
#include "proxy/smtp/inbound_dialogue.h"
#include "proxy/smtp/octets.h"
#include "proxy/smtp/relay_guard.h"

namespace postern::smtp {

namespace {

using config::InboundListener;

// A whitelist, not a list of what needs TLS: a verb forgotten here is refused. The last four are, in every state.
bool allowed_without_tls(Verb verb) {
  return verb == Verb::ehlo || verb == Verb::helo || verb == Verb::noop || verb == Verb::rset || verb == Verb::quit ||
         verb == Verb::starttls || verb == Verb::http || verb == Verb::invalid || verb == Verb::xclient ||
         verb == Verb::xforward;
}

bool is_hidden(const Command& command, const InboundListener& listener) {
  const auto& hide = listener.ehlo.hide;
  return std::any_of(hide.begin(), hide.end(),
                     [&](const auto& name) { return same_ignoring_case(name, command.name); });
}

std::optional<Refusal> mail_refusal(const Command& command, const ClientStanding& standing,
                                    const InboundListener& listener) {
  const auto from = parse_path_argument(command.argument, "FROM");
  if (!standing.takes_parameters(command, from, config::Envelope::mail)) return Refusal::parameter_not_offered;
  if (!listener.ehlo.size_limit || !from) return std::nullopt;  // the server says what is wrong with it
  const auto size = declared_size(from->parameters);
  return size && *size > listener.ehlo.size_limit->bytes ? std::optional(Refusal::message_too_large) : std::nullopt;
}

std::optional<Refusal> recipient_refusal(const Command& command, const ClientStanding& standing,
                                         const InboundListener& listener) {
  const auto to = parse_path_argument(command.argument, "TO");
  const auto& domains = listener.recipients.allow_domains;
  const bool guarded = domains.has_value() && !standing.authenticated;
  // What we cannot read, the server may read differently.
  if (guarded && (!to || !recipient_allowed(to->path, *domains))) return Refusal::relay_denied;
  if (!standing.takes_parameters(command, to, config::Envelope::rcpt)) return Refusal::parameter_not_offered;
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> InboundDialogue::refusal_for(const Command& command) const {
  const InboundListener& listener = *facts_.listener;
  const Verb verb = command.verb;
  if (listener.require_tls && !standing_.tls && !allowed_without_tls(verb)) return Refusal::tls_required;
  if (verb == Verb::auth && listener.auth_requires_tls && !standing_.tls) return Refusal::auth_needs_tls;
  if (const auto refusal = smtp::refusal_for(command, standing_, listener)) return refusal;
  if (verb == Verb::mail) return mail_refusal(command, standing_, listener);
  if (verb == Verb::rcpt) return recipient_refusal(command, standing_, listener);
  const bool asks = verb == Verb::vrfy || verb == Verb::expn || verb == Verb::help;
  const bool extension = verb == Verb::etrn || verb == Verb::other;
  const bool passes = !(asks && is_hidden(command, listener)) && !(extension && !standing_.offers(command));
  return passes ? std::nullopt : std::optional(Refusal::verb_not_offered);
}

}  // namespace postern::smtp
