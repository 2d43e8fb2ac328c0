#include "tests/fuzz/twin/client_standing.h"

#include <algorithm>
#include <charconv>

#include "tests/fuzz/twin/octets.h"
#include "tests/fuzz/twin/relay_guard.h"

namespace postern::smtp::before {

namespace {

using config::InboundListener;

constexpr std::size_t helo_name_limit = 255;  // RFC 5321 4.5.3.1.2

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

std::optional<Refusal> mail_refusal(const Command& command, const ClientStanding& standing,
                                    const InboundListener& listener) {
  const auto from = parse_path_argument(command.argument, "FROM");
  if (!standing.takes_parameters(command, from, config::Envelope::mail)) return Refusal::parameter_not_offered;
  if (!listener.ehlo.size_limit || !from) return std::nullopt;  // the server says what is wrong with it
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
  const auto to = parse_path_argument(command.argument, "TO");
  const auto& domains = listener.recipients.allow_domains;
  const bool guarded = domains.has_value() && !standing.authenticated;
  // What we cannot read, the server may read differently.
  if (guarded && (!to || !recipient_allowed(to->path, *domains))) return Refusal::relay_denied;
  if (!standing.takes_parameters(command, to, config::Envelope::rcpt)) return Refusal::parameter_not_offered;
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
    case Verb::mail: return mail_refusal(command, standing, listener);
    case Verb::rcpt: return recipient_refusal(command, standing, listener);
    case Verb::data:
    case Verb::rset:
    case Verb::noop:
    case Verb::quit: return std::nullopt;
    case Verb::vrfy:
    case Verb::expn:
    case Verb::help: return is_hidden(command, listener) ? std::optional(Refusal::verb_not_offered) : std::nullopt;
    case Verb::auth:
      if (!standing.offers(command)) return Refusal::verb_not_offered;
      return standing.takes_mechanism(command.argument) ? std::nullopt : std::optional(Refusal::mechanism_not_offered);
    case Verb::bdat:
    case Verb::etrn:
    case Verb::other: return standing.offers(command) ? std::nullopt : std::optional(Refusal::verb_not_offered);
  }
  return Refusal::verb_not_offered;
}

bool has_unknown_keyword(std::string_view words) {
  for (auto word = take_parameter(words); !word.empty(); word = take_parameter(words)) {
    if (word.find('=') == std::string_view::npos) return true;
  }
  return false;
}

// Verbs whose refusal is the same in every state.
bool is_never_forwarded(Verb verb) {
  return verb == Verb::http || verb == Verb::invalid || verb == Verb::xclient || verb == Verb::xforward;
}

}  // namespace

bool is_helo_name(std::string_view name) {
  return name.size() <= helo_name_limit &&
         std::all_of(name.begin(), name.end(), [](char octet) { return !is_control(octet); });
}

void ClientStanding::offer_nothing() {
  extended = false;
  extensions = 0;
  std::string().swap(other_words);
}

void ClientStanding::offer(const EhloReply& shown) {
  offer_nothing();
  extended = true;
  extensions = extensions_of(shown);
  const auto add = [this](std::string_view prefix, std::string_view word) {
    if (!other_words.empty()) other_words += ' ';
    other_words.append(prefix).append(word);
  };
  for (const EhloKeyword& keyword : shown.keywords) {
    if (config::find_extension(keyword.name) == nullptr) add("", keyword.name);
    if (keyword.name != "AUTH") continue;
    std::string_view mechanisms = keyword.parameters;
    for (auto each = take_parameter(mechanisms); !each.empty(); each = take_parameter(mechanisms)) add("AUTH=", each);
  }
}

bool ClientStanding::offers(std::string_view keyword) const {
  const config::Extension* known = config::find_extension(keyword);
  return known != nullptr && (extensions & config::bit_of(*known)) != 0;
}

bool ClientStanding::offers(const Command& command) const {
  switch (command.verb) {
    case Verb::bdat: return offers("CHUNKING");
    case Verb::auth: return offers("AUTH");
    case Verb::etrn: return offers("ETRN");
    default: break;
  }
  // A keyword that we do not know may be a verb; none has a '='.
  if (command.name.find('=') == std::string_view::npos && has_word(other_words, command.name)) return true;
  const auto known = config::extensions();
  return std::any_of(known.begin(), known.end(), [&](const config::Extension& each) {
    return (extensions & config::bit_of(each)) != 0 && same_ignoring_case(each.verbs, command.name);
  });
}

bool ClientStanding::takes_parameters(const Command& command, const std::optional<PathArgument>& path,
                                      config::Envelope of) const {
  std::string_view rest = path ? path->parameters : command.argument;
  // Unknown ones may belong to an unknown keyword. And what we cannot read as a path the server judges, but for those
  // words that it might still take for something.
  const bool unknown_too = !path || has_unknown_keyword(other_words);
  for (auto word = take_parameter(rest); !word.empty(); word = take_parameter(rest)) {
    if (path && std::any_of(word.begin(), word.end(), is_control)) return false;
    const config::Extension* known = config::extension_of_parameter(word, of);
    if (known == nullptr && unknown_too) continue;
    if (known == nullptr) return false;
    const bool harmless = !extended && (known->keyword == "SIZE" || known->keyword == "8BITMIME");
    if (!harmless && (extensions & config::bit_of(*known)) == 0) return false;
  }
  return true;
}

bool ClientStanding::takes_mechanism(std::string_view argument) const {
  return has_word(other_words, "AUTH=" + std::string(take_parameter(argument)));
}

bool ClientStanding::says_size_in_vain(config::ExtensionSet of_server) const {
  return (extensions & ~of_server & config::bit_of(*config::find_extension("SIZE"))) != 0;
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

}  // namespace postern::smtp::before
