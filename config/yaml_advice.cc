#include "config/yaml_advice.h"

#include <algorithm>

#include "config/text.h"
#include "config/values.h"

namespace postern::config {
namespace {

using Text = std::string_view;

// Without its line break.
Text line_of(Text text, std::size_t number) {
  for (; number > 1; --number) {
    const std::size_t end = text.find('\n');
    if (end == Text::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find_first_of("\r\n"));
}

Text trimmed(Text text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == Text::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

std::size_t indentation_of(Text line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

// Columns count characters.
std::size_t offset_of(Text line, std::size_t column) {
  std::size_t offset = 0;
  for (; offset < line.size() && column > 1; --column) {
    ++offset;
    while (offset < line.size() && is_continuation(line[offset])) ++offset;
  }
  return offset;
}

std::string in_line(std::size_t number) {
  return "line " + std::to_string(number);
}

std::string in_quotes(Text value) {
  std::string quoted = quote(value);
  if (value.find('"') == Text::npos) quoted.front() = quoted.back() = '"';
  return quoted;
}

// --- values that YAML takes for something else

// The value that begins there, as its author saw it: to the next comma, closing bracket or comment. Brackets of its
// own, as in [::]:25 and ${NAME}, belong to it.
Text value_at(Text line, std::size_t begin) {
  constexpr std::size_t longest = 200;
  line = line.substr(0, std::min(line.size(), begin + longest));
  std::string open;
  std::size_t end = begin;
  for (; end < line.size(); ++end) {
    const char c = line[end];
    if (!open.empty() && c == open.back()) {
      open.pop_back();
    } else if (c == '[' || c == '{') {
      open += c == '[' ? ']' : '}';
    } else if ((open.empty() && (c == ',' || c == ']' || c == '}')) ||
               (c == '#' && end > begin && line[end - 1] == ' ')) {
      break;
    }
  }
  return trimmed(line.substr(begin, end - begin));
}

// Calls `visit` with each offset at which a value may begin: after "key: ", "- ", "[", "{" and ",", outside quotes. It
// returns the length of what to pass over.
template <class Visit>
void visit_values(Text line, Visit visit) {
  char open_quote = 0;
  bool at_value = true;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (open_quote != 0) {
      if (c == open_quote) open_quote = 0;
      continue;
    }
    if (c == ' ') continue;
    if (c == '#' && (i == 0 || line[i - 1] == ' ')) return;
    if (at_value && (c == '"' || c == '\'')) {
      open_quote = c;
      at_value = false;
      continue;
    }
    const std::size_t length = at_value ? visit(i) : 0;
    if (length > 0) {
      i += length - 1;
      at_value = false;
      continue;
    }
    const bool before_blank = i + 1 == line.size() || line[i + 1] == ' ';
    at_value = c == ',' || ((c == ':' || c == '-') && before_blank) || ((c == '[' || c == '{') && at_value);
  }
}

// "[::1]:25", "::1", "::/0": what begins like a list or with a colon, and is an IPv6 address.
bool is_ipv6(Text value) {
  const std::size_t closing = value.find(']');
  const bool bracketed = value.starts_with('[');
  if (bracketed && closing == Text::npos) return false;
  const Text address = bracketed ? value.substr(1, closing - 1) : value.substr(0, value.find('/'));
  const Text rest = bracketed ? value.substr(closing + 1) : Text();
  const bool port = rest.starts_with(':') && rest.find_first_not_of("0123456789", 1) == Text::npos;
  return address.find(':') != Text::npos && parse_ip_address(address) && (bracketed == port);
}

std::string about_value(Text value) {
  constexpr Text never_first = "*@%`";
  if (value.starts_with("{{") || value.starts_with("{%")) return "this looks like a template that was not filled in";
  if (value.starts_with("*:")) {
    const std::string port(value.substr(2));
    return "for all addresses write " + in_quotes("0.0.0.0:" + port) + " and " + in_quotes("[::]:" + port);
  }
  const bool begins_variable = value.find("${") < std::min(value.find_first_of("{["), value.find(": "));
  const bool quotes = begins_variable || is_ipv6(value) || (!value.empty() && never_first.find(value[0]) != Text::npos);
  return quotes ? "put it in quotes: " + in_quotes(value) : "";
}

// The last of them that begins before the offset.
std::string trap_before(Text line, std::size_t offset) {
  std::string found;
  visit_values(line, [&](std::size_t begin) -> std::size_t {
    const Text value = begin > offset ? Text() : value_at(line, begin);
    std::string advice = about_value(value);
    if (advice.empty()) return 0;
    found = std::move(advice);
    return value.size();
  });
  return found;
}

// --- entries without their colon

bool is_key(Text key) {
  return !key.empty() && std::ranges::all_of(key, [](char c) { return is_alphanumeric(c) || c == '_'; });
}

bool has_colon(Text entry) {
  return entry.find(": ") != Text::npos || entry.ends_with(':');
}

// "key:value", "key=value", "key value".
std::string about_entry(Text entry, std::size_t number) {
  entry = trimmed(entry);
  if (entry.starts_with("<<<<<<<") || entry.starts_with("=======") || entry.starts_with(">>>>>>>")) {
    return in_line(number) + " is what a merge leaves that met a conflict";
  }
  if (entry.starts_with("- ")) entry = trimmed(entry.substr(2));
  const std::size_t end = entry.find_first_of(" :=");
  const Text key = entry.substr(0, end);
  if (has_colon(entry) || !is_key(key)) return {};
  const std::size_t value = end == Text::npos ? end : entry.find_first_not_of(" :=", end);
  if (value == Text::npos) return in_line(number) + " has no colon: write " + quote(std::string(key) + ":");
  return in_line(number) + " lacks a colon and a blank: write " +
         quote(std::string(key) + ": " + std::string(entry.substr(value)));
}

std::size_t line_before(Text text, std::size_t number) {
  for (std::size_t comments = 0; number > 1 && comments < 50; ++comments) {
    const Text line = trimmed(line_of(text, --number));
    if (!line.empty() && line.front() != '#') return number;
  }
  return 0;
}

bool has_odd_blank(Text line) {
  return line.find("\xc2\xa0") != Text::npos || line.find("\xe3\x80\x80") != Text::npos;
}

std::string about_colons(Text text, std::size_t number) {
  const Text line = line_of(text, number);
  const std::size_t before = line_before(text, number);
  for (const std::size_t n : {number, before}) {
    if (n == 0) continue;
    if (has_odd_blank(line_of(text, n))) return in_line(n) + " has a no-break space: write an ordinary blank";
    if (std::string advice = about_entry(line_of(text, n), n); !advice.empty()) return advice;
  }
  if (before != 0 && has_colon(trimmed(line)) && indentation_of(line) > indentation_of(line_of(text, before))) {
    return "it is indented as if it belonged to " + in_line(before) + ", which has a value already";
  }
  return "a value needs quotes that has a colon and a blank in it, or a colon at its end";
}

// --- what was opened and not closed

std::string about_context(Text problem, Place place, Place context) {
  if (context.line == 0) return {};
  const std::string where = in_line(context.line) + ", column " + std::to_string(context.column);
  if (problem.find("unexpected end of stream") != Text::npos) {
    return "the quotation mark in " + where + " has no partner";
  }
  const bool list = problem.find("',' or ']'") != Text::npos;
  if (!list && problem.find("',' or '}'") == Text::npos) return {};
  if (place.line == context.line) return "is there a comma missing before it?";
  return std::string("the '") + (list ? "[" : "{") + "' in " + where + " is not closed";
}

// A text that began in quotes on a line above and ended in the quotes of another.
std::string about_quotes(Text text, std::size_t last) {
  for (std::size_t number = 1; number <= last && !text.empty(); ++number) {
    const Text line = line_of(text, 1);
    if (std::ranges::count(line.substr(0, line.find(" #")), '"') % 2 != 0) {
      return in_line(number) + " has a quotation mark without a partner";
    }
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  }
  return {};
}

std::string about_key(Text text, Place place) {
  const Text line = line_of(text, place.line);
  const std::size_t offset = offset_of(line, place.column);
  if (offset < line.size() && (line[offset] == '}' || line[offset] == ']')) {
    return std::string("there is one '") + line[offset] + "' too many";
  }
  if (offset == indentation_of(line)) {
    return "it is indented by " + std::to_string(offset) + " blanks, which fits nothing above";
  }
  return about_quotes(text, place.line);
}

std::string about_document(Text text, Place place) {
  const Text first = trimmed(line_of(text, line_before(text, place.line)));
  if (first.starts_with('[') && first.ends_with(']')) {
    return "a section is written as a key with a colon, not in brackets";
  }
  return {};
}

std::string advice(Text text, Place place, Text problem, Place context) {
  const Text line = line_of(text, place.line);
  const auto says = [problem](Text words) { return problem.find(words) != Text::npos; };
  if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != Text::npos) {
    return "indent with blanks instead of tabs";
  }
  if (std::string trap = trap_before(line, offset_of(line, place.column)); !trap.empty()) return trap;
  if (says("unknown escape") || says("hexdecimal")) {
    return "between double quotes a backslash is doubled; between single ones it is not";
  }
  if (std::string opened = about_context(problem, place, context); !opened.empty()) return opened;
  if (says("':'") || says("mapping values")) return about_colons(text, place.line);
  if (says("expected key")) return about_key(text, place);
  if (says("block sequence entries")) return "write the list as [ITEM, ITEM], or each item on a line of its own";
  if (says("document start")) return about_document(text, place);
  return {};
}

}  // namespace

std::string yaml_advice(std::string_view text, Place place, std::string_view problem, Place context) {
  const std::string found = advice(text, place, problem, context);
  return found.empty() ? found : "; " + found;
}

}  // namespace postern::config
