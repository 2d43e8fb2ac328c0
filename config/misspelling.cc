#include "config/misspelling.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include "config/text.h"
#include "config/values.h"

namespace postern::config {
namespace {

constexpr std::string_view decimal_digits = "0123456789";

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && text.find_first_not_of(decimal_digits) == std::string_view::npos;
}

// An IPv6 address without the brackets that tell it from its port: "[::1]:25"; empty: it is none.
std::string with_brackets(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return {};
  const std::size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (is_port(port) && host.find(':') != std::string_view::npos && parse_ip_address(host)) {
    return '[' + std::string(host) + "]:" + std::string(port);
  }
  return parse_ip_address(text) ? '[' + std::string(text) + "]:25" : "";
}

// "[127.0.0.1]:25" without its brackets; empty: it is something else.
std::string without_brackets(std::string_view text) {
  const std::size_t closing = text.find(']');
  if (!text.starts_with('[') || closing == std::string_view::npos) return {};
  const std::string_view host = text.substr(1, closing - 1);
  const bool v4 = parse_ip_address(host) && host.find(':') == std::string_view::npos;
  return v4 ? std::string(host) + std::string(text.substr(closing + 1)) : "";
}

// "010.0.0.1": octal to the C library, decimal to people.
bool has_leading_zero(std::string_view text) {
  text = text.substr(0, text.find(':'));
  if (std::ranges::count(text, '.') != 3 || text.find_first_not_of("0123456789.") != std::string_view::npos) {
    return false;
  }
  bool begins = true;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    if (begins && text[i] == '0' && text[i + 1] != '.') return true;
    begins = text[i] == '.';
  }
  return false;
}

// A number with up to three decimals, in thousandths, and the word behind it without the blanks between.
struct Quantity {
  std::uint64_t thousandths = 0;
  std::string word;
};
std::optional<Quantity> read_quantity(std::string_view text) {
  constexpr std::size_t longest = 7;
  std::string number;
  std::size_t decimals = 0;
  bool fraction = false;
  for (; !text.empty(); text.remove_prefix(1)) {
    const char c = text[0];
    if (c == '_' && !number.empty()) continue;
    if (c == '.' && !fraction && !number.empty()) {
      fraction = true;
      continue;
    }
    if (decimal_digits.find(c) == std::string_view::npos) break;
    number += c;
    decimals += fraction ? 1 : 0;
  }
  if (number.empty() || number.size() > longest || decimals > 3) return std::nullopt;
  while (text.starts_with(' ')) text.remove_prefix(1);
  Quantity found;
  std::from_chars(number.data(), number.data() + number.size(), found.thousandths);
  for (; decimals < 3; ++decimals) found.thousandths *= 10;
  found.word = lower_case(text);
  return found;
}

using Factors = std::initializer_list<std::pair<std::string_view, std::uint64_t>>;

// In the unit of the factors; nothing where the word is none of them, or the rest is a fraction.
std::optional<std::uint64_t> multiply(const Quantity& quantity, Factors factors) {
  const auto* const factor =
      std::ranges::find(factors, quantity.word, &std::pair<std::string_view, std::uint64_t>::first);
  if (factor == factors.end() || quantity.thousandths * factor->second % 1000 != 0) return std::nullopt;
  return quantity.thousandths * factor->second / 1000;
}

}  // namespace

std::string address_meant_by(std::string_view text) {
  const auto has = [text](std::string_view what) { return text.find(what) != std::string_view::npos; };
  if (text.empty()) return " is empty: write an address with its port, as in 127.0.0.1:25";
  if (has(" ")) return " has a blank in it: write an address and its port, with a colon between them";
  if (has("://")) return " is a URL: write its host and port alone, as in 127.0.0.1:25";
  if (has(",")) return " holds more than one address: make each an item of its own";
  if (has("%")) return " names a zone (%), which is not supported";
  if (has("\xe2\x80\x9c") || has("\xe2\x80\x9d")) return " has typographic quotes: write \" instead";
  if (has_leading_zero(text)) return " has a number with a leading zero: write it without";
  if (const std::string bare = without_brackets(text); !bare.empty()) {
    return " has brackets, which are for IPv6: write " + bare;
  }
  if (const std::string bracketed = with_brackets(text); !bracketed.empty()) {
    return " is an IPv6 address without brackets: write " + bracketed;
  }
  return {};
}

std::string duration_meant_by(std::string_view text) {
  constexpr std::uint64_t second = 1000;
  const auto quantity = read_quantity(text);
  if (!quantity) return {};
  const auto milliseconds = multiply(*quantity, {{"ms", 1},
                                                 {"msec", 1},
                                                 {"s", second},
                                                 {"sec", second},
                                                 {"secs", second},
                                                 {"second", second},
                                                 {"seconds", second},
                                                 {"m", 60 * second},
                                                 {"min", 60 * second},
                                                 {"mins", 60 * second},
                                                 {"minute", 60 * second},
                                                 {"minutes", 60 * second},
                                                 {"h", 3600 * second},
                                                 {"hr", 3600 * second},
                                                 {"hour", 3600 * second},
                                                 {"hours", 3600 * second},
                                                 {"d", 86400 * second},
                                                 {"day", 86400 * second},
                                                 {"days", 86400 * second}});
  return milliseconds ? "; write " + to_string(Duration(static_cast<std::int64_t>(*milliseconds))) : "";
}

std::string size_meant_by(std::string_view text) {
  constexpr std::uint64_t kibi = 1024;
  const auto quantity = read_quantity(text);
  if (!quantity) return {};
  const auto octets = multiply(*quantity, {{"", 1},
                                           {"b", 1},
                                           {"k", kibi},
                                           {"kb", 1000},
                                           {"kib", kibi},
                                           {"m", kibi * kibi},
                                           {"mb", 1'000'000},
                                           {"mib", kibi * kibi},
                                           {"g", kibi * kibi * kibi},
                                           {"gb", 1'000'000'000},
                                           {"gib", kibi * kibi * kibi}});
  return octets ? "; write " + to_string(ByteSize{*octets}) : "";
}

}  // namespace postern::config
