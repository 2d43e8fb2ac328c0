#include "proxy/init/yaml_text.h"

#include <algorithm>
#include <array>

#include "config/text.h"

namespace postern::init {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t line_width = 118;

// Words that YAML, or somebody who reads it with another program, takes for something else than text.
bool is_taken_for_a_value(std::string_view text) {
  constexpr std::array words = {"true"sv, "false"sv, "yes"sv, "no"sv, "on"sv, "off"sv, "null"sv, "y"sv, "n"sv};
  return std::ranges::any_of(words, [text](auto word) { return config::same_ignoring_case(word, text); });
}

bool is_plain(std::string_view text) {
  constexpr std::string_view others = "/._-";
  return !text.empty() && (config::is_letter(text[0]) || text[0] == '/') && !is_taken_for_a_value(text) &&
         std::ranges::all_of(text,
                             [others](char c) { return config::is_alphanumeric(c) || others.find(c) != others.npos; });
}

// What libyaml does not read as it is, or what cannot be seen.
bool has_to_be_escaped(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xfeff || code == 0xfffe || code == 0xffff ||
         config::is_misleading(code);
}

void append_escaped(std::string& text, std::uint32_t code) {
  const bool small = code <= 0xff;
  text += small ? "\\x" : "\\u";
  config::append_hex(text, code, small ? 2 : 4);
}

// The character that `text` begins with, taken off it; what is no UTF-8 is an octet at a time.
struct Taken {
  std::string_view octets;
  std::uint32_t code;
  bool valid;
};
Taken take_one(std::string_view& text) {
  const std::size_t length = config::utf8_length(text);
  const Taken taken = length == 0 ? Taken{text.substr(0, 1), static_cast<unsigned char>(text[0]), false}
                                  : Taken{text.substr(0, length), config::code_point(text.substr(0, length)), true};
  text.remove_prefix(taken.octets.size());
  return taken;
}

std::string visible(std::string_view text) {
  std::string seen;
  while (!text.empty()) {
    const Taken character = take_one(text);
    if (character.code != '\n' && (!character.valid || has_to_be_escaped(character.code))) {
      append_escaped(seen, character.code);
    } else {
      seen += character.octets;
    }
  }
  return seen;
}

}  // namespace

bool can_be_written(std::string_view text) {
  while (!text.empty()) {
    const Taken character = take_one(text);
    if (!character.valid || character.code < 0x20 || character.code == 0x7f) return false;
  }
  return true;
}

std::string yaml_scalar(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string quoted = "\"";
  while (!text.empty()) {
    const Taken character = take_one(text);
    if (character.code == '"' || character.code == '\\') {
      quoted.append("\\").append(character.octets);
    } else if (character.code == '$') {
      quoted += "$$";
    } else if (has_to_be_escaped(character.code)) {
      append_escaped(quoted, character.code);
    } else {
      quoted += character.octets;
    }
  }
  return quoted + '"';
}

std::string yaml_list(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (const std::string& text : texts) list.append(list.size() > 1 ? ", " : "").append(yaml_scalar(text));
  return list + "]";
}

std::string yaml_comment(std::string_view text, std::size_t indent) {
  const std::string seen = visible(text);
  const std::string begin = std::string(indent, ' ') + "#";
  std::string comment;
  std::string line = begin;
  const auto end_line = [&] {
    comment += line + '\n';
    line = begin;
  };
  for (std::string_view rest = seen; !rest.empty();) {
    const std::size_t end = std::min(rest.find_first_of(" \n"), rest.size());
    const std::string_view word = rest.substr(0, end);
    if (line.size() + 1 + word.size() > line_width && line.size() > begin.size()) end_line();
    if (!word.empty()) line.append(" ").append(word);
    if (end < rest.size() && rest[end] == '\n') end_line();
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (line.size() > begin.size()) end_line();
  return comment;
}

}  // namespace postern::init
