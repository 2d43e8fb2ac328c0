#include "config/diagnostic.h"

#include <array>

#include "config/text.h"

namespace postern::config {
namespace {

// What a terminal shows as nothing, as a blank, or in another order than it is read: no-break spaces, C1 controls,
// directions, joiners, byte order marks.
bool is_invisible(unsigned code_point) {
  constexpr std::array<std::array<unsigned, 2>, 7> ranges = {{{0x80, 0xa0},
                                                              {0xad, 0xad},
                                                              {0x200b, 0x200f},
                                                              {0x2028, 0x202f},
                                                              {0x2060, 0x206f},
                                                              {0x3000, 0x3000},
                                                              {0xfeff, 0xfeff}}};
  for (const auto& [first, last] : ranges) {
    if (code_point >= first && code_point <= last) return true;
  }
  return code_point >= 0xe0000 && code_point <= 0xe01ff;
}

// The length of the character that begins `text`, which is UTF-8 or what somebody took for it, and its number.
std::size_t take_character(std::string_view text, unsigned& code_point) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  code_point = length == 1 ? first : first & (0xffU >> (length + 1));
  std::size_t taken = 1;
  for (; taken < length && taken < text.size() && is_continuation(text[taken]); ++taken) {
    code_point = code_point << 6U | (static_cast<unsigned char>(text[taken]) & 0x3fU);
  }
  return taken;
}

void append_visibly(std::string& text, std::string_view character, unsigned code_point) {
  if (character.size() == 1 && is_control(character[0])) {
    text += "\\x";
    append_hex(text, code_point, 2);
  } else if (character.size() > 1 && is_invisible(code_point)) {
    text += code_point > 0xffff ? "\\U" : "\\u";
    append_hex(text, code_point, code_point > 0xffff ? 8 : 4);
  } else {
    text += character;
  }
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
  std::string line = diagnostic.file;
  if (diagnostic.place.line != 0) {
    for (const std::size_t number : {diagnostic.place.line, diagnostic.place.column}) {
      line += ':';
      line += std::to_string(number);
    }
  }
  line += diagnostic.severity == Diagnostic::Severity::error ? ": error: " : ": warning: ";
  return line + diagnostic.message;
}

std::string quote(std::string_view text) {
  constexpr std::size_t longest = 60;
  std::size_t end = text.size();
  if (end > longest) {
    end = longest;
    while (end > 0 && is_continuation(text[end])) --end;
  }
  std::string quoted;
  quoted += '\'';
  for (std::string_view rest = text.substr(0, end); !rest.empty();) {
    unsigned code_point = 0;
    const std::size_t length = take_character(rest, code_point);
    append_visibly(quoted, rest.substr(0, length), code_point);
    rest.remove_prefix(length);
  }
  if (end < text.size()) quoted += "…";
  quoted += '\'';
  return quoted;
}

}  // namespace postern::config
