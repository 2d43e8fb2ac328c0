#include "proxy/smtp/command.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "proxy/smtp/octets.h"

namespace postern::smtp {

namespace {

constexpr std::string_view blanks = " \t";

struct VerbRow {
  std::string_view name;
  Verb verb;
};
constexpr std::array verbs = {
    VerbRow{"EHLO", Verb::ehlo},       VerbRow{"HELO", Verb::helo},         VerbRow{"MAIL", Verb::mail},
    VerbRow{"RCPT", Verb::rcpt},       VerbRow{"DATA", Verb::data},         VerbRow{"BDAT", Verb::bdat},
    VerbRow{"RSET", Verb::rset},       VerbRow{"NOOP", Verb::noop},         VerbRow{"QUIT", Verb::quit},
    VerbRow{"VRFY", Verb::vrfy},       VerbRow{"EXPN", Verb::expn},         VerbRow{"HELP", Verb::help},
    VerbRow{"ETRN", Verb::etrn},       VerbRow{"AUTH", Verb::auth},         VerbRow{"STARTTLS", Verb::starttls},
    VerbRow{"XCLIENT", Verb::xclient}, VerbRow{"XFORWARD", Verb::xforward}, VerbRow{"GET", Verb::http},
    VerbRow{"POST", Verb::http},       VerbRow{"PUT", Verb::http},          VerbRow{"HEAD", Verb::http},
    VerbRow{"DELETE", Verb::http},     VerbRow{"OPTIONS", Verb::http},      VerbRow{"CONNECT", Verb::http},
    VerbRow{"TRACE", Verb::http},      VerbRow{"PATCH", Verb::http},        VerbRow{"PRI", Verb::http},
};

std::string_view trim_front(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text;
}

std::string_view trim(std::string_view text) {
  text = trim_front(text);
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

// Takes what comes before the first blank.
std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find_first_of(blanks));
  text = trim_front(text.substr(word.size()));
  return word;
}

Verb verb_of(std::string_view name) {
  if (name.empty() || !is_letter(name.front()) || !std::all_of(name.begin(), name.end(), is_visible)) {
    return Verb::invalid;
  }
  const auto* row = std::find_if(verbs.begin(), verbs.end(),
                                 [&](const VerbRow& each) { return same_ignoring_case(each.name, name); });
  return row == verbs.end() ? Verb::other : row->verb;
}

// Where the first octet of `wanted` stands outside quotes; a backslash takes the next octet's meaning away, as it
// does for servers. Beyond the end: nowhere. Nothing: a quote or backslash has no partner.
std::optional<std::size_t> find_unquoted(std::string_view text, std::string_view wanted) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      if (++i == text.size()) return std::nullopt;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && is_one_of(text[i], wanted)) {
      return i;
    }
  }
  if (quoted) return std::nullopt;
  return text.size();
}

std::optional<PathArgument> bracketed_path(std::string_view text) {
  const auto end = find_unquoted(text, ">");
  if (!end || *end == text.size()) return std::nullopt;
  const std::string_view rest = text.substr(*end + 1);
  // "<a@ours>b@theirs>" must not mean one thing to us and another to the server.
  if (!rest.empty() && !is_one_of(rest.front(), blanks)) return std::nullopt;
  return PathArgument{text.substr(0, *end), trim(rest)};
}

std::optional<PathArgument> bare_path(std::string_view text) {
  // qmail takes the first '<' wherever it stands: "TO:a@ours <b@theirs>" must not pass as a@ours.
  if (text.empty() || text.find_first_of("<>") != std::string_view::npos) return std::nullopt;
  const auto end = find_unquoted(text, blanks);
  if (!end) return std::nullopt;
  return PathArgument{text.substr(0, *end), trim(text.substr(*end))};
}

}  // namespace

std::string_view to_string(Verb verb) {
  switch (verb) {
    case Verb::ehlo: return "ehlo";
    case Verb::helo: return "helo";
    case Verb::mail: return "mail";
    case Verb::rcpt: return "rcpt";
    case Verb::data: return "data";
    case Verb::bdat: return "bdat";
    case Verb::rset: return "rset";
    case Verb::noop: return "noop";
    case Verb::quit: return "quit";
    case Verb::vrfy: return "vrfy";
    case Verb::expn: return "expn";
    case Verb::help: return "help";
    case Verb::etrn: return "etrn";
    case Verb::auth: return "auth";
    case Verb::starttls: return "starttls";
    case Verb::xclient: return "xclient";
    case Verb::xforward: return "xforward";
    case Verb::http: return "http";
    case Verb::other: return "other";
    case Verb::invalid: return "invalid";
  }
  return "invalid";
}

Command parse_command(std::string_view line) {
  Command command;
  command.argument = line;
  command.name = take_word(command.argument);
  command.argument = trim(command.argument);
  command.verb = verb_of(command.name);
  return command;
}

std::optional<PathArgument> parse_path_argument(std::string_view argument, std::string_view keyword) {
  argument = trim(argument);
  if (!same_ignoring_case(argument.substr(0, keyword.size()), keyword)) return std::nullopt;
  argument = trim_front(argument.substr(keyword.size()));
  if (!argument.starts_with(':')) return std::nullopt;
  argument = trim_front(argument.substr(1));
  return argument.starts_with('<') ? bracketed_path(argument.substr(1)) : bare_path(argument);
}

std::string_view take_parameter(std::string_view& parameters) {
  parameters = trim_front(parameters);
  return take_word(parameters);
}

std::string without_parameter(std::string_view line, std::string_view key) {
  const Command command = parse_command(line);
  const auto path = parse_path_argument(command.argument, command.verb == Verb::mail ? "FROM" : "TO");
  if (!path || path->parameters.empty()) return std::string(line);
  std::string result(line.substr(0, static_cast<std::size_t>(path->parameters.data() - line.data())));
  std::string_view rest = path->parameters;
  for (std::string_view word = take_parameter(rest); !word.empty(); word = take_parameter(rest)) {
    if (!same_ignoring_case(word.substr(0, word.find('=')), key)) result.append(word).append(" ");
  }
  return result.substr(0, result.find_last_not_of(blanks) + 1);
}

std::optional<std::string_view> parameter(std::string_view parameters, std::string_view key) {
  for (std::string_view word = take_parameter(parameters); !word.empty(); word = take_parameter(parameters)) {
    const std::string_view name = word.substr(0, word.find('='));
    if (same_ignoring_case(name, key)) return word.substr(std::min(name.size() + 1, word.size()));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> size_of(std::string_view digits) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (read.ec == std::errc::result_out_of_range) return ~std::uint64_t{0};
  return read.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<std::uint64_t> declared_size(std::string_view mail_parameters) {
  const auto declared = parameter(mail_parameters, "SIZE");
  return declared ? size_of(*declared) : std::nullopt;
}

std::optional<BdatArgument> parse_bdat_argument(std::string_view argument) {
  argument = trim(argument);
  const std::string_view digits = take_word(argument);
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) return std::nullopt;
  BdatArgument bdat;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), bdat.size);
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (parsed.ec != std::errc() || bdat.size > most) return std::nullopt;
  bdat.last = same_ignoring_case(argument, "LAST");
  if (!bdat.last && !argument.empty()) return std::nullopt;
  return bdat;
}

std::string_view domain_of(std::string_view path) {
  if (path.starts_with('@')) path = path.substr(std::min(path.find(':'), path.size() - 1) + 1);
  std::string_view domain;
  while (true) {
    const auto at = find_unquoted(path, "@");
    if (!at || *at == path.size()) return domain;
    path = path.substr(*at + 1);
    domain = path;
  }
}

}  // namespace postern::smtp
