#include "config/text.h"

#include "tests/support/catch.h"

namespace text_test {

using namespace postern::config;

TEST_CASE("text: letters, digits and controls are ASCII's, whatever the locale says") {
  for (int octet = 0; octet < 256; ++octet) {
    const char c = static_cast<char>(octet);
    const bool small = octet >= 'a' && octet <= 'z';
    const bool large = octet >= 'A' && octet <= 'Z';
    const bool digit = octet >= '0' && octet <= '9';
    CHECK(static_cast<unsigned char>(lower(c)) == (large ? octet + 32 : octet));
    CHECK(static_cast<unsigned char>(upper(c)) == (small ? octet - 32 : octet));
    CHECK(is_letter(c) == (small || large));
    CHECK(is_digit(c) == digit);
    CHECK(is_alphanumeric(c) == (small || large || digit));
    CHECK(is_control(c) == (octet < 32 || octet == 127));
    CHECK(is_continuation(c) == (octet >= 0x80 && octet < 0xc0));
    const bool hex = digit || (octet >= 'a' && octet <= 'f') || (octet >= 'A' && octet <= 'F');
    CHECK((hex_value(c) >= 0) == hex);
  }
}

TEST_CASE("text: case changes for ASCII alone") {
  CHECK(lower_case("MÜLLER.Example") == "mÜller.example");
  CHECK(upper_case("size=1ü") == "SIZE=1ü");
  CHECK(same_ignoring_case("STARTTLS", "StartTls"));
  CHECK(same_ignoring_case("", ""));
  CHECK_FALSE(same_ignoring_case("SIZE", "SIZES"));
  CHECK_FALSE(same_ignoring_case("@", "`"));  // 32 apart, as letters are
  CHECK_FALSE(same_ignoring_case("\xc4", "\xe4"));
}

TEST_CASE("text: controls become question marks, and nothing else does") {
  CHECK(without_controls("a\r\nb\tc\x7f") == "a??b?c?");
  CHECK(without_controls("grüß Gott!") == "grüß Gott!");
}

TEST_CASE("text: a word is found among others, whole") {
  CHECK(has_word("ADDR NAME HELO", "name"));
  CHECK(has_word("ADDR", "ADDR"));
  CHECK_FALSE(has_word("ADDR NAMES", "NAME"));
  CHECK_FALSE(has_word("", "NAME"));
  CHECK(trim(" \t a b\t ") == "a b");
  CHECK(trim(" \t").empty());
}

TEST_CASE("text: hexadecimal digits, to and fro") {
  std::string text;
  append_hex(text, 0x1f, 2);
  append_hex(text, 0x202e, 4);
  append_hex(text, 0xe0001, 8);
  CHECK(text == "1f202e000e0001");
  CHECK(hex_value('b') * 16 + hex_value('F') == 0xbf);
}

TEST_CASE("text: UTF-8 is what RFC 3629 says, and nothing else") {
  const auto length = [](std::string_view text) { return utf8_length(text); };
  CHECK(length("") == 0);
  CHECK(length("az") == 1);
  CHECK(length("üa") == 2);
  CHECK(length("€") == 3);
  CHECK(length("😀") == 4);
  for (const char* none : {"\x80", "\xff", "\xc3", "\xc3z", "\xe2\x82", "\xe2\x82z", "\xf0\x9f\x98"})
    CHECK(length(none) == 0);
  for (const char* overlong : {"\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf"})
    CHECK(length(overlong) == 0);
  CHECK(length("\xe0\xa0\x80") == 3);
  CHECK(length("\xed\x9f\xbf") == 3);
  CHECK(length("\xed\xa0\x80") == 0);  // surrogate
  CHECK(length("\xf4\x8f\xbf\xbf") == 4);
  CHECK(length("\xf4\x90\x80\x80") == 0);  // beyond U+10FFFF
  CHECK(length("\xf5\x80\x80\x80") == 0);
}

TEST_CASE("text: a sequence's code point, and whether it misleads who reads it") {
  CHECK(code_point("a") == 'a');
  CHECK(code_point("ü") == 0xfc);
  CHECK(code_point("€") == 0x20ac);
  CHECK(code_point("😀") == 0x1f600);
  for (const std::uint32_t bad :
       {0x0U, 0x1fU, 0x7fU, 0x80U, 0x9fU, 0x61cU, 0x200eU, 0x2028U, 0x202eU, 0x2066U, 0x2069U}) {
    CHECK(is_misleading(bad));
  }
  for (const std::uint32_t fine :
       {0x20U, 0x7eU, 0xa0U, 0x200dU, 0x2010U, 0x2027U, 0x202fU, 0x2065U, 0x206aU, 0x1f600U}) {
    CHECK_FALSE(is_misleading(fine));
  }
}

}  // namespace text_test
