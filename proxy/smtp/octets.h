// Kinds of octets, beyond those of all text.
#pragma once

#include <cstddef>
#include <string_view>

#include "config/text.h"

namespace postern::smtp {

using config::has_word;
using config::is_alphanumeric;
using config::is_control;
using config::is_digit;
using config::is_letter;
using config::same_ignoring_case;

constexpr bool is_8bit(char octet) {
  return static_cast<unsigned char>(octet) >= 0x80;
}
constexpr bool is_visible(char octet) {
  return octet > 0x20 && octet < 0x7f;
}
constexpr bool is_one_of(char octet, std::string_view octets) {
  return octets.find(octet) != std::string_view::npos;
}
// Of a domain that is a name, in ASCII or UTF-8 (RFC 6531). The underscore is no host name's, but DNS has it.
constexpr bool is_domain_octet(char octet) {
  return is_alphanumeric(octet) || is_8bit(octet) || is_one_of(octet, "-_.");
}
constexpr std::size_t longest_domain = 255;  // RFC 5321 4.5.3.1.2

// Holds nothing but blanks and tabs, or nothing at all.
inline bool is_blank_line(std::string_view text) {
  return text.find_first_not_of(" \t") == std::string_view::npos;
}

}  // namespace postern::smtp
