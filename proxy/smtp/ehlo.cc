#include "proxy/smtp/ehlo.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <utility>

#include "proxy/smtp/octets.h"

namespace postern::smtp {

namespace {

constexpr std::size_t max_keywords = 200;      // servers list about twenty
constexpr std::size_t max_line_length = 1000;  // RFC 5321 4.5.3.1.5 asks for 512

// RFC 5321 4.1.1.1 has letters, digits and '-'; names with '_' or '.' are seen in the wild.
bool is_name_octet(char octet) {
  return is_alphanumeric(octet) || is_one_of(octet, "-_.");
}
bool is_text(char octet) {
  return is_visible(octet) || octet == ' ';
}

std::string_view trim_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// Blanks and tabs part words, one or many.
std::string_view take_keyword(std::string_view& text) {
  text = trim_blanks(text);
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

struct ParsedLine {
  EhloKeyword keyword;
  bool by_equals = false;  // "AUTH=PLAIN"
};

std::optional<ParsedLine> parse_keyword(std::string_view text) {
  if (text.size() > max_line_length) return std::nullopt;
  std::string line(text);
  std::replace(line.begin(), line.end(), '\t', ' ');
  const std::string_view trimmed = trim_blanks(line);
  const std::string_view name = trimmed.substr(0, trimmed.find_first_of(" ="));
  if (name.empty() || !is_alphanumeric(name.front()) || !std::all_of(name.begin(), name.end(), is_name_octet) ||
      !std::all_of(trimmed.begin(), trimmed.end(), is_text)) {
    return std::nullopt;
  }
  std::string_view parameters = trim_blanks(trimmed.substr(name.size()));
  const bool by_equals = parameters.starts_with('=');
  if (by_equals) parameters = trim_blanks(parameters.substr(1));
  return ParsedLine{{config::upper_case(name), std::string(parameters)}, by_equals};
}

void add_words_once(std::string& words, std::string_view more) {
  for (std::string_view word = take_keyword(more); !word.empty(); word = take_keyword(more)) {
    const bool fits = words.size() + word.size() < max_line_length;
    if (fits && !has_word(words, word)) words += (words.empty() ? "" : " ") + std::string(word);
  }
}

bool names(const std::vector<std::string>& keywords, std::string_view name) {
  return std::find(keywords.begin(), keywords.end(), name) != keywords.end();
}

config::Offer offer_of(std::string_view keyword, const EhloView& view) {
  const config::Extension* known = config::find_extension(keyword);
  return known == nullptr ? config::Offer::on_request : known->offer(view.direction);
}

bool shown(std::string_view keyword, const config::EhloSettings& settings, const EhloView& view) {
  if (names(settings.hide, keyword) || (keyword == "AUTH" && view.hide_auth)) return false;
  switch (offer_of(keyword, view)) {
    case config::Offer::shown: return true;
    case config::Offer::on_request: return names(settings.pass, keyword);
    case config::Offer::never: return false;
  }
  return false;
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

// Before the last keyword. Where it would stand alone PIPELINING comes with it, which the gateway keeps by itself.
void offer_starttls(EhloReply& reply, const config::EhloSettings& settings) {
  if (reply.keywords.empty() && !names(settings.hide, "PIPELINING")) reply.keywords.push_back({"PIPELINING", ""});
  const auto last = reply.keywords.empty() ? reply.keywords.end() : std::prev(reply.keywords.end());
  reply.keywords.insert(last, {"STARTTLS", ""});
}

}  // namespace

void EhloReply::add_line(std::string_view text) {
  if (!has_greeting_) {
    has_greeting_ = true;
    greeting = config::without_controls(text.substr(0, max_line_length));
    return;
  }
  auto line = parse_keyword(text);
  if (!line) return;
  if (line->keyword.name == "AUTH") return add_mechanisms(line->keyword.parameters, line->by_equals);
  if (keywords.size() < max_keywords) keywords.push_back(std::move(line->keyword));
}

void EhloReply::add_mechanisms(std::string_view mechanisms, bool by_equals) {
  auto auth =
      std::find_if(keywords.begin(), keywords.end(), [](const auto& keyword) { return keyword.name == "AUTH"; });
  if (auth == keywords.end()) auth = keywords.insert(auth, {"AUTH", ""});
  add_words_once(auth->parameters, mechanisms);
  auth_by_equals = auth_by_equals || by_equals;
}

const EhloKeyword* EhloReply::find(std::string_view name) const {
  const auto found =
      std::find_if(keywords.begin(), keywords.end(), [&](const EhloKeyword& keyword) { return keyword.name == name; });
  return found == keywords.end() ? nullptr : &*found;
}

EhloReply rewrite(const EhloReply& server, const config::EhloSettings& settings, const EhloView& view) {
  EhloReply result;
  result.add_line(with_name(server.greeting, settings.name));
  result.auth_by_equals = server.auth_by_equals;
  for (const EhloKeyword& keyword : server.keywords) {
    if (shown(keyword.name, settings, view)) add_once(result, keyword);
  }
  for (const std::string& line : settings.add) {
    const auto added = parse_keyword(line);
    if (!added || offer_of(added->keyword.name, view) == config::Offer::never) continue;
    if (added->keyword.name != "AUTH" || !view.hide_auth) add_once(result, added->keyword);
  }
  // RFC 3030 3: BINARYMIME needs BDAT.
  if (!result.has("CHUNKING")) {
    std::erase_if(result.keywords, [](const EhloKeyword& keyword) { return keyword.name == "BINARYMIME"; });
  }
  if (settings.size_limit && !names(settings.hide, "SIZE")) limit_size(result, settings.size_limit->bytes);
  if (view.offer_starttls) offer_starttls(result, settings);
  return result;
}

config::ExtensionSet extensions_of(const EhloReply& reply) {
  config::ExtensionSet found = 0;
  for (const EhloKeyword& keyword : reply.keywords) {
    if (const config::Extension* known = config::find_extension(keyword.name)) found |= config::bit_of(*known);
  }
  return found;
}

config::ExtensionSet extensions_with_parameters() {
  config::ExtensionSet found = 0;
  for (const config::Extension& each : config::extensions()) {
    if (!each.mail.empty() || !each.rcpt.empty()) found |= config::bit_of(each);
  }
  return found;
}

std::string print(const EhloReply& reply) {
  std::vector<std::string> lines = {reply.greeting};
  const auto add = [&lines](const EhloKeyword& keyword, char separator) {
    std::string line = keyword.name;
    if (!keyword.parameters.empty()) line.append(1, separator).append(keyword.parameters);
    lines.push_back(std::move(line));
  };
  for (const EhloKeyword& keyword : reply.keywords) {
    add(keyword, ' ');
    if (keyword.name == "AUTH" && reply.auth_by_equals && !keyword.parameters.empty()) add(keyword, '=');
  }
  std::string result;
  for (const std::string& line : lines) {
    result.append(&line == &lines.back() ? "250 " : "250-").append(line).append("\r\n");
  }
  return result;
}

std::string with_name(std::string_view text, std::string_view name) {
  if (name.empty()) return std::string(text);
  const std::size_t rest = std::min(text.find(' '), text.size());
  return std::string(name).append(text.substr(rest));
}

}  // namespace postern::smtp
