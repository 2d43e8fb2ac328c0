#include "proxy/wire/json_writer.h"

#include "config/characters.h"

namespace postern::wire {

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

std::string escape(std::uint32_t character) {
  static constexpr char digits[] = "0123456789abcdef";
  if (character == '"') return "\\\"";
  if (character == '\\') return "\\\\";
  std::string escaped = "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) escaped += digits[character >> static_cast<unsigned>(shift) & 15U];
  return escaped;
}

// As the log has it.
bool must_be_escaped(std::uint32_t character) {
  return character < 0x20 || character == '"' || character == '\\' || character == 0x7f ||
         config::is_misleading(character);
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
    const std::string_view sequence = text.substr(0, length);
    if (length == 0) {
      text_ += "\xef\xbf\xbd";
    } else if (const std::uint32_t character = config::code_point(sequence); must_be_escaped(character)) {
      text_ += escape(character);
    } else {
      text_ += sequence;
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

}  // namespace postern::wire
