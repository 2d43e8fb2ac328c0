// Kinds of octets, by ASCII and never by locale.
#pragma once

#include <algorithm>
#include <string_view>

namespace postern::smtp::before {

constexpr char to_upper(char octet) {
  return octet >= 'a' && octet <= 'z' ? static_cast<char>(octet - 'a' + 'A') : octet;
}
constexpr bool is_digit(char octet) {
  return octet >= '0' && octet <= '9';
}
constexpr bool is_letter(char octet) {
  return to_upper(octet) >= 'A' && to_upper(octet) <= 'Z';
}
constexpr bool is_alphanumeric(char octet) {
  return is_digit(octet) || is_letter(octet);
}
constexpr bool is_control(char octet) {
  return static_cast<unsigned char>(octet) < 0x20 || octet == 0x7f;
}
constexpr bool is_8bit(char octet) {
  return static_cast<unsigned char>(octet) >= 0x80;
}
constexpr bool is_visible(char octet) {
  return octet > 0x20 && octet < 0x7f;
}
constexpr bool is_one_of(char octet, std::string_view octets) {
  return octets.find(octet) != std::string_view::npos;
}

inline bool same_ignoring_case(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return to_upper(a) == to_upper(b); });
}

// Holds nothing but blanks and tabs, or nothing at all.
inline bool is_blank_line(std::string_view text) {
  return text.find_first_not_of(" \t") == std::string_view::npos;
}

// One of the words that single blanks part is `wanted`, in any case.
inline bool has_word(std::string_view words, std::string_view wanted) {
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    if (same_ignoring_case(word, wanted)) return true;
    words.remove_prefix(std::min(word.size() + 1, words.size()));
  }
  return false;
}

}  // namespace postern::smtp::before
