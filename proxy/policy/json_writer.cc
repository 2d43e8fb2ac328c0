#include "proxy/policy/json_writer.h"

namespace postern::policy {

namespace {

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

// Octets of the UTF-8 sequence at the front; 0: there is none.
std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if (!is_continuation(text[i])) return 0;
  const auto second = length > 1 ? static_cast<unsigned char>(text[1]) : 0;
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool beyond = (lead == 0xed && second > 0x9f) || (lead == 0xf4 && second > 0x8f);  // surrogates, over U+10FFFF
  return overlong || beyond ? 0 : length;
}

std::string escape(char c) {
  static constexpr char digits[] = "0123456789abcdef";
  if (c == '"') return "\\\"";
  if (c == '\\') return "\\\\";
  const auto octet = static_cast<unsigned char>(c);
  return std::string("\\u00") + digits[octet >> 4] + digits[octet & 15];
}

}  // namespace

void JsonWriter::open(std::string_view key, char bracket) {
  begin_value(key);
  text_ += bracket;
  first_ = true;
}

void JsonWriter::close(char bracket) {
  text_ += bracket;
  first_ = false;
}

void JsonWriter::begin_value(std::string_view key) {
  if (!first_) text_ += ',';
  first_ = false;
  if (key.empty()) return;
  quote(key);
  text_ += ':';
}

void JsonWriter::quote(std::string_view text) {
  text_ += '"';
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text.front();
    if (length == 0) {
      text_ += "\xef\xbf\xbd";
    } else if (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == 0x7f)) {
      text_ += escape(c);
    } else {
      text_ += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  text_ += '"';
}

void JsonWriter::value(std::string_view key, std::string_view text) {
  begin_value(key);
  quote(text);
}

void JsonWriter::value(std::string_view key, std::uint64_t number) {
  begin_value(key);
  text_ += std::to_string(number);
}

void JsonWriter::flag(std::string_view key, bool value) {
  begin_value(key);
  text_ += value ? "true" : "false";
}

void JsonWriter::values(std::string_view key, const std::vector<std::string>& texts) {
  begin_array(key);
  for (const std::string& text : texts) value({}, std::string_view(text));
  end_array();
}

}  // namespace postern::policy
