#include "proxy/smtp/client_standing.h"

#include <algorithm>

#include "proxy/smtp/octets.h"

namespace postern::smtp {

namespace {

constexpr std::size_t helo_name_limit = 255;  // RFC 5321 4.5.3.1.2

std::optional<Refusal> starttls_refusal(const Command& command, const ClientStanding& standing,
                                        const config::Listener& listener) {
  if (standing.tls) return Refusal::starttls_active;
  if (listener.mode != config::TlsMode::starttls) return Refusal::starttls_not_offered;
  if (!command.argument.empty()) return Refusal::starttls_argument;
  if (!standing.tls_available) return Refusal::tls_unavailable;
  return std::nullopt;
}

std::optional<Refusal> auth_refusal(const Command& command, const ClientStanding& standing) {
  if (!standing.offers(command)) return Refusal::verb_not_offered;
  return standing.takes_mechanism(command.argument) ? std::nullopt : std::optional(Refusal::mechanism_not_offered);
}

bool has_unknown_keyword(std::string_view words) {
  for (auto word = take_parameter(words); !word.empty(); word = take_parameter(words)) {
    if (word.find('=') == std::string_view::npos) return true;
  }
  return false;
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
                                   const config::Listener& listener) {
  if (command.verb == Verb::http) return Refusal::http_request;
  if (standing.certificate_missing && command.verb != Verb::quit) return Refusal::client_certificate;
  switch (command.verb) {
    case Verb::http:
    case Verb::invalid: return Refusal::malformed_line;
    case Verb::xclient:
    case Verb::xforward: return Refusal::xclient_forbidden;
    case Verb::starttls: return starttls_refusal(command, standing, listener);
    case Verb::ehlo:
    case Verb::helo: return is_helo_name(command.argument) ? std::nullopt : std::optional(Refusal::malformed_helo);
    case Verb::rset:
    case Verb::noop:
    case Verb::quit: return std::nullopt;
    case Verb::mail:
    case Verb::rcpt:
    case Verb::data:
    case Verb::bdat:
    case Verb::vrfy:
    case Verb::expn:
    case Verb::help:
    case Verb::etrn:
    case Verb::auth:
    case Verb::other: break;
  }
  if (standing.ehlo_first) return Refusal::ehlo_first;
  if (command.verb == Verb::auth) return auth_refusal(command, standing);
  if (command.verb == Verb::bdat && !standing.offers(command)) return Refusal::verb_not_offered;
  return std::nullopt;
}

}  // namespace postern::smtp
