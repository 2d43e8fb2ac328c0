#include "proxy/smtp/ehlo.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "proxy/smtp/octets.h"

namespace postern::smtp {

namespace {

constexpr std::size_t max_keywords = 200;      // servers list about twenty
constexpr std::size_t max_line_length = 1000;  // RFC 5321 4.5.3.1.5 asks for 512

// Never shown to a client, whatever the settings say: our own business with the server, verbs that turn a session
// around or start an encryption of their own, and those whose content only the server could frame.
constexpr std::array<std::string_view, 11> never_shown = {"STARTTLS", "X-ANONYMOUSTLS", "XCLIENT", "XFORWARD",
                                                          "TURN",     "ATRN",           "XEXCH50", "X-EXCH50",
                                                          "X-EXPS",   "X-LINK2STATE",   "BURL"};

// RFC 5321 4.1.1.1 has letters, digits and '-'; "AUTH=LOGIN" and names with '_' or '.' are seen in the wild.
bool is_name_octet(char octet) {
  return is_alphanumeric(octet) || is_one_of(octet, "-_.=");
}
bool is_text(char octet) {
  return is_visible(octet) || octet == ' ';
}

std::string in_upper_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), to_upper);
  return result;
}

std::string_view trim_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// "AUTH=LOGIN" is a spelling of AUTH.
std::string_view base(std::string_view name) {
  return name.substr(0, name.find('='));
}

std::string harmless(std::string_view text) {
  std::string result(text.substr(0, max_line_length));
  std::replace_if(result.begin(), result.end(), is_control, '?');
  return result;
}

std::optional<EhloKeyword> parse_keyword(std::string_view text) {
  if (text.size() > max_line_length) return std::nullopt;
  std::string line(text);
  std::replace(line.begin(), line.end(), '\t', ' ');
  const std::string_view trimmed = trim_blanks(line);
  const std::string_view name = trimmed.substr(0, trimmed.find(' '));
  if (name.empty() || !is_alphanumeric(name.front()) || !std::all_of(name.begin(), name.end(), is_name_octet) ||
      !std::all_of(trimmed.begin(), trimmed.end(), is_text)) {
    return std::nullopt;
  }
  return EhloKeyword{in_upper_case(name), std::string(trim_blanks(trimmed.substr(name.size())))};
}

bool shown(const EhloKeyword& keyword, const EhloView& view) {
  const std::string_view name = base(keyword.name);
  if (name == "AUTH" && view.hide_auth) return false;
  return std::find(never_shown.begin(), never_shown.end(), name) == never_shown.end();
}

bool hidden(std::string_view name, const config::EhloSettings& settings) {
  return std::find(settings.hide.begin(), settings.hide.end(), base(name)) != settings.hide.end() ||
         std::find(settings.hide.begin(), settings.hide.end(), name) != settings.hide.end();
}

void add_once(EhloReply& reply, const EhloKeyword& keyword) {
  if (!reply.has(keyword.name)) reply.keywords.push_back(keyword);
}

// The smaller of the server's limit and ours; "SIZE", "SIZE 0" and what is no number set none (RFC 1870 4).
std::uint64_t smaller_limit(std::string_view servers, std::uint64_t ours) {
  std::uint64_t size = 0;
  const auto parsed = std::from_chars(servers.data(), servers.data() + servers.size(), size);
  const bool is_limit = parsed.ec == std::errc() && parsed.ptr == servers.data() + servers.size() && size > 0;
  return is_limit ? std::min(size, ours) : ours;
}

void limit_size(EhloReply& reply, std::uint64_t limit) {
  const auto size = std::find_if(reply.keywords.begin(), reply.keywords.end(),
                                 [](const EhloKeyword& keyword) { return keyword.name == "SIZE"; });
  if (size == reply.keywords.end()) {
    reply.keywords.push_back({"SIZE", std::to_string(limit)});
  } else {
    size->parameters = std::to_string(smaller_limit(size->parameters, limit));
  }
}

}  // namespace

void EhloReply::add_line(std::string_view text) {
  if (!has_greeting_) {
    has_greeting_ = true;
    greeting = harmless(text);
    return;
  }
  if (keywords.size() >= max_keywords) return;
  auto keyword = parse_keyword(text);
  if (keyword) keywords.push_back(std::move(*keyword));
}

const EhloKeyword* EhloReply::find(std::string_view name) const {
  const auto found =
      std::find_if(keywords.begin(), keywords.end(), [&](const EhloKeyword& keyword) { return keyword.name == name; });
  return found == keywords.end() ? nullptr : &*found;
}

EhloReply rewrite(const EhloReply& server, const config::EhloSettings& settings, const EhloView& view) {
  EhloReply result;
  result.add_line(with_name(server.greeting, settings.name));
  for (const EhloKeyword& keyword : server.keywords) {
    if (shown(keyword, view) && !hidden(keyword.name, settings)) add_once(result, keyword);
  }
  for (const std::string& line : settings.add) {
    const auto keyword = parse_keyword(line);
    if (keyword && shown(*keyword, view)) add_once(result, *keyword);
  }
  // RFC 3030 3: BINARYMIME needs BDAT.
  if (!result.has("CHUNKING")) {
    std::erase_if(result.keywords, [](const EhloKeyword& keyword) { return keyword.name == "BINARYMIME"; });
  }
  if (settings.size_limit && !hidden("SIZE", settings)) limit_size(result, settings.size_limit->bytes);
  if (view.offer_starttls) result.keywords.push_back({"STARTTLS", ""});
  return result;
}

std::uint8_t extensions_of(const EhloReply& reply) {
  constexpr std::string_view names[] = {"SIZE", "8BITMIME",  "BINARYMIME",    "SMTPUTF8",
                                        "DSN",  "DELIVERBY", "FUTURERELEASE", "MT-PRIORITY"};
  std::uint8_t found = 0;
  for (std::size_t i = 0; i < std::size(names); ++i) found |= static_cast<std::uint8_t>(reply.has(names[i]) << i);
  return found;
}

std::string print(const EhloReply& reply) {
  std::string result = reply.keywords.empty() ? "250 " : "250-";
  result += reply.greeting + "\r\n";
  for (const EhloKeyword& keyword : reply.keywords) {
    result += &keyword == &reply.keywords.back() ? "250 " : "250-";
    result += keyword.name;
    if (!keyword.parameters.empty()) result += " " + keyword.parameters;
    result += "\r\n";
  }
  return result;
}

std::string with_name(std::string_view text, std::string_view name) {
  if (name.empty()) return std::string(text);
  const std::size_t rest = std::min(text.find(' '), text.size());
  return std::string(name).append(text.substr(rest));
}

}  // namespace postern::smtp
