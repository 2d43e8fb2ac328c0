#include "proxy/observe/log_line.h"

#include <array>
#include <charconv>
#include <cmath>
#include <type_traits>

#include "config/characters.h"

namespace postern::log {
namespace {

enum class Style : std::uint8_t { text, json };

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// Length of the UTF-8 sequence of two to four octets that `text` begins with; 0 if it begins with none. Overlong forms,
// surrogates and what lies beyond U+10FFFF are none.
std::size_t multibyte_length(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = octet(0);
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  const unsigned second = octet(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return 0;
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0;
  return length;
}

void append_hex(std::string& out, std::string_view prefix, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto octet = static_cast<unsigned char>(c);
  out += prefix;
  out += digits[octet >> 4U];
  out += digits[octet & 0x0FU];
}

// As other controls: in text octet by octet, in JSON as a code point, which takes four digits for each that misleads.
void append_control(std::string& out, std::string_view sequence, std::uint32_t character, Style style) {
  if (style == Style::text) {
    for (const char c : sequence) append_hex(out, "\\x", c);
    return;
  }
  append_hex(out, "\\u", static_cast<char>(character >> 8U));
  append_hex(out, "", static_cast<char>(character & 0xFFU));
}

void append_escaped(std::string& out, std::string_view text, Style style) {
  while (!text.empty()) {
    const char c = text.front();
    const auto octet = static_cast<unsigned char>(c);
    std::size_t taken = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (octet < 0x20 || octet == 0x7F) {
      append_hex(out, style == Style::json ? "\\u00" : "\\x", c);
    } else if (octet < 0x80) {
      out += c;
    } else if (const std::size_t length = multibyte_length(text); length != 0) {
      const std::string_view sequence = text.substr(0, length);
      const std::uint32_t character = config::code_point(sequence);
      if (config::is_misleading(character)) {
        append_control(out, sequence, character, style);
      } else {
        out += sequence;
      }
      taken = length;
    } else {
      append_hex(out, style == Style::json ? "\\\\x" : "\\x", c);
    }
    text.remove_prefix(taken);
  }
}

bool reads_as_one_word(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet <= 0x20 || octet >= 0x7F || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

void append_list(std::string& out, std::span<const std::string> texts, Style style) {
  const bool json = style == Style::json;
  out += json ? "[" : "\"";
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out += json ? "," : "; ";
    if (json) {
      append_json_string(out, texts[i]);
    } else {
      append_escaped(out, texts[i], style);
    }
  }
  out += json ? "]" : "\"";
}

template <class Number>
void append_number(std::string& out, Number number) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_value(std::string& out, const Field& field, Style style) {
  std::visit(
      [&](auto value) {
        using Value = decltype(value);
        if constexpr (std::is_same_v<Value, bool>) {
          out += value ? "true" : "false";
        } else if constexpr (std::is_same_v<Value, std::string_view>) {
          if (style == Style::text && reads_as_one_word(value)) {
            out += value;
            return;
          }
          out += '"';
          append_escaped(out, value, style);
          out += '"';
        } else if constexpr (std::is_same_v<Value, std::span<const std::string>>) {
          append_list(out, value, style);
        } else if constexpr (std::is_same_v<Value, double>) {
          if (std::isfinite(value)) {
            append_number(out, value);
          } else {
            out += "null";
          }
        } else {
          append_number(out, value);
        }
      },
      field.value);
}

}  // namespace

void append_text(std::string& out, std::string_view message, std::span<const Field> fields) {
  append_escaped(out, message, Style::text);
  for (const Field& field : fields) {
    out += ' ';
    out += field.name;
    out += '=';
    append_value(out, field, Style::text);
  }
}

void append_json(std::string& out, std::string_view message, std::span<const Field> fields) {
  out += R"("message":)";
  append_json_string(out, message);
  for (const Field& field : fields) {
    out += ",\"";
    out += field.name;
    out += "\":";
    append_value(out, field, Style::json);
  }
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text, Style::json);
  out += '"';
}

}  // namespace postern::log
