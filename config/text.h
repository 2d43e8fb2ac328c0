// Text: kinds of characters, by ASCII and never by locale; case, hexadecimal digits, UTF-8.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace postern::config {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_letter(char c) {
  return lower(c) >= 'a' && lower(c) <= 'z';
}
constexpr bool is_alphanumeric(char c) {
  return is_digit(c) || is_letter(c);
}
constexpr bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// All of `text` as a whole number in digits of that base; nothing: it is none, or too large for its kind.
template <class Number>
std::optional<Number> whole_number(std::string_view text, int base = 10) {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, base);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

// With a comma and a blank between them.
template <class Texts>
std::string listed(const Texts& texts) {
  std::string text;
  for (const auto& each : texts) text.append(text.empty() ? "" : ", ").append(each);
  return text;
}

std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);
// In single quotes: one word of a shell, whatever is in it.
std::string shell_quoted(std::string_view text);
// Controls have become question marks.
std::string without_controls(std::string_view text);
bool same_ignoring_case(std::string_view a, std::string_view b);
// Without the blanks and tabs on either side.
std::string_view trim(std::string_view text);
// One of the words that single blanks part is `wanted`, in any case.
bool has_word(std::string_view words, std::string_view wanted);

constexpr std::string_view hex_digits = "0123456789abcdef";
// -1: not a hexadecimal digit.
int hex_value(char c);
// The last `digits` digits of `value`.
void append_hex(std::string& text, std::uint32_t value, unsigned digits);

// An octet of a UTF-8 sequence, but not its first.
constexpr bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U;
}
// The octets of the UTF-8 sequence that `text` begins with; 0 if it begins with none. Overlong forms, surrogates and
// what lies beyond U+10FFFF are none.
std::size_t utf8_length(std::string_view text);
// Of a valid UTF-8 sequence.
std::uint32_t code_point(std::string_view sequence);

// Controls, of which terminals obey those of C1, too; some take separators for line ends; the others turn what follows
// around (Unicode TR 36 3.3). What came from the network does not do that to a line. None of them is beyond U+FFFF.
bool is_misleading(std::uint32_t character);

}  // namespace postern::config
