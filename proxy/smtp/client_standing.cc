#include "proxy/smtp/client_standing.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "proxy/smtp/octets.h"
#include "proxy/smtp/relay_guard.h"

namespace postern::smtp {

namespace {

using config::InboundListener;

constexpr std::size_t helo_name_limit = 255;  // RFC 5321 4.5.3.1.2

// Keywords that are no verbs, or verbs that Verb knows: not worth remembering.
bool is_well_known(std::string_view keyword) {
  static constexpr std::array<std::string_view, 14> names = {
      "PIPELINING", "SIZE",     "8BITMIME",   "DSN",      "ENHANCEDSTATUSCODES",
      "SMTPUTF8",   "CHUNKING", "BINARYMIME", "STARTTLS", "AUTH",
      "ETRN",       "VRFY",     "HELP",       "EXPN"};
  return std::find(names.begin(), names.end(), keyword) != names.end();
}

bool is_introduction(Verb verb) {
  return verb == Verb::ehlo || verb == Verb::helo;
}

// A whitelist, not a list of what needs TLS: a verb forgotten here is refused.
bool allowed_without_tls(Verb verb) {
  return is_introduction(verb) || verb == Verb::noop || verb == Verb::rset || verb == Verb::quit ||
         verb == Verb::starttls;
}

bool is_hidden(const Command& command, const InboundListener& listener) {
  const auto& hide = listener.ehlo.hide;
  return std::any_of(hide.begin(), hide.end(),
                     [&](const auto& name) { return same_ignoring_case(name, command.name); });
}

std::optional<Refusal> starttls_refusal(const Command& command, const ClientStanding& standing,
                                        const InboundListener& listener) {
  if (standing.tls) return Refusal::starttls_active;
  if (listener.mode != config::TlsMode::starttls) return Refusal::starttls_not_offered;
  if (!command.argument.empty()) return Refusal::starttls_argument;
  if (!standing.tls_available) return Refusal::tls_unavailable;
  return std::nullopt;
}

std::optional<Refusal> mail_refusal(const Command& command, const InboundListener& listener) {
  if (!listener.ehlo.size_limit) return std::nullopt;
  const auto from = parse_path_argument(command.argument, "FROM");
  if (!from) return std::nullopt;  // the server says what is wrong with it
  const auto size = parameter(from->parameters, "SIZE");
  if (!size) return std::nullopt;
  std::uint64_t octets = 0;
  const auto read = std::from_chars(size->data(), size->data() + size->size(), octets);
  const bool too_large =
      read.ec == std::errc::result_out_of_range || (read.ec == std::errc() && octets > listener.ehlo.size_limit->bytes);
  return too_large ? std::optional(Refusal::message_too_large) : std::nullopt;
}

std::optional<Refusal> recipient_refusal(const Command& command, const ClientStanding& standing,
                                         const InboundListener& listener) {
  const auto& domains = listener.recipients.allow_domains;
  if (domains.empty() || standing.authenticated) return std::nullopt;
  const auto to = parse_path_argument(command.argument, "TO");
  // What we cannot read, the server may read differently.
  if (!to || !recipient_allowed(to->path, domains)) return Refusal::relay_denied;
  return std::nullopt;
}

std::optional<Refusal> verb_refusal(const Command& command, const ClientStanding& standing,
                                    const InboundListener& listener) {
  switch (command.verb) {
    case Verb::http: return Refusal::http_request;
    case Verb::invalid: return Refusal::malformed_line;
    case Verb::xclient:
    case Verb::xforward: return Refusal::xclient_forbidden;
    case Verb::starttls: return starttls_refusal(command, standing, listener);
    case Verb::ehlo:
    case Verb::helo: return is_helo_name(command.argument) ? std::nullopt : std::optional(Refusal::malformed_helo);
    case Verb::mail: return mail_refusal(command, listener);
    case Verb::rcpt: return recipient_refusal(command, standing, listener);
    case Verb::data:
    case Verb::rset:
    case Verb::noop:
    case Verb::quit: return std::nullopt;
    case Verb::vrfy:
    case Verb::expn:
    case Verb::help: return is_hidden(command, listener) ? std::optional(Refusal::verb_not_offered) : std::nullopt;
    case Verb::bdat:
    case Verb::etrn:
    case Verb::auth:
    case Verb::other: return standing.offers(command) ? std::nullopt : std::optional(Refusal::verb_not_offered);
  }
  return Refusal::verb_not_offered;
}

// Verbs whose refusal is the same in every state.
bool is_never_forwarded(Verb verb) {
  return verb == Verb::http || verb == Verb::invalid || verb == Verb::xclient || verb == Verb::xforward;
}

}  // namespace

bool is_helo_name(std::string_view name) {
  return !name.empty() && name.size() <= helo_name_limit &&
         std::all_of(name.begin(), name.end(), [](char octet) { return !is_control(octet); });
}

void ClientStanding::offer_nothing() {
  chunking = auth = etrn = false;
  std::string().swap(other_keywords);
}

void ClientStanding::offer(const EhloReply& shown) {
  offer_nothing();
  chunking = shown.has("CHUNKING");
  auth = shown.has("AUTH");
  etrn = shown.has("ETRN");
  for (const EhloKeyword& keyword : shown.keywords) {
    if (!is_well_known(keyword.name)) other_keywords += keyword.name + " ";
  }
}

bool ClientStanding::offers(const Command& command) const {
  switch (command.verb) {
    case Verb::bdat: return chunking;
    case Verb::auth: return auth;
    case Verb::etrn: return etrn;
    default: break;
  }
  std::string_view names = other_keywords;
  for (auto blank = names.find(' '); blank != std::string_view::npos; blank = names.find(' ')) {
    if (same_ignoring_case(names.substr(0, blank), command.name)) return true;
    names.remove_prefix(blank + 1);
  }
  return false;
}

std::optional<Refusal> refusal_for(const Command& command, const ClientStanding& standing,
                                   const InboundListener& listener) {
  if (command.verb == Verb::http) return Refusal::http_request;
  if (standing.certificate_missing && command.verb != Verb::quit) return Refusal::client_certificate;
  if (is_never_forwarded(command.verb)) return verb_refusal(command, standing, listener);
  if (listener.require_tls && !standing.tls && !allowed_without_tls(command.verb)) return Refusal::tls_required;
  if (command.verb == Verb::auth && listener.auth_requires_tls && !standing.tls) return Refusal::auth_needs_tls;
  if (standing.ehlo_first && !allowed_without_tls(command.verb)) return Refusal::ehlo_first;
  return verb_refusal(command, standing, listener);
}

}  // namespace postern::smtp
