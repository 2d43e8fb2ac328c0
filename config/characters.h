// Kinds of characters, whatever the locale says.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern::config {

inline char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
inline bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
inline bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

// Of a valid UTF-8 sequence.
inline std::uint32_t code_point(std::string_view sequence) {
  if (sequence.size() == 1) return static_cast<unsigned char>(sequence[0]);
  std::uint32_t value = static_cast<unsigned char>(sequence[0]) & (0x7fU >> sequence.size());
  for (const char c : sequence.substr(1)) value = value << 6U | (static_cast<unsigned char>(c) & 0x3fU);
  return value;
}

// Terminals obey C1 controls, and some take separators for line ends; the others turn what follows around (Unicode
// TR 36 3.3). What came from the network does not do that to a line. None of them is beyond U+FFFF.
inline bool is_misleading(std::uint32_t character) {
  const auto within = [character](std::uint32_t low, std::uint32_t high) {
    return low <= character && character <= high;
  };
  return within(0x80, 0x9f) || character == 0x061c || within(0x200e, 0x200f) || within(0x2028, 0x202e) ||
         within(0x2066, 0x2069);
}

}  // namespace postern::config
