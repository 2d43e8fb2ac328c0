#include "proxy/wire/json.h"

#include "config/text.h"

namespace postern::wire {

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
    const std::size_t length = config::utf8_length(text);
    const std::string_view sequence = text.substr(0, length);
    if (length == 0) {
      append_octet(text.front());
    } else if (const std::uint32_t character = config::code_point(sequence); config::is_misleading(character)) {
      text_ += "\\u";
      config::append_hex(text_, character, 4);
    } else {
      if (character == '"' || character == '\\') text_ += '\\';
      text_ += sequence;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  text_ += '"';
}

void JsonWriter::append_octet(char octet) {
  if (not_utf8_ == NotUtf8::replaced) {
    text_ += "\xef\xbf\xbd";
  } else {
    text_ += "\\\\x";
    config::append_hex(text_, static_cast<unsigned char>(octet), 2);
  }
}

void JsonWriter::value(std::string_view key, std::string_view text) {
  begin_value(key);
  quote(text);
}

void JsonWriter::value(std::string_view key, std::uint64_t number) {
  begin_value(key);
  append_number(text_, number);
}

void JsonWriter::value(std::string_view key, std::int64_t number) {
  begin_value(key);
  append_number(text_, number);
}

void JsonWriter::value(std::string_view key, double number) {
  begin_value(key);
  append_number(text_, number);
}

void JsonWriter::flag(std::string_view key, bool value) {
  begin_value(key);
  text_ += value ? "true" : "false";
}

void JsonWriter::values(std::string_view key, std::span<const std::string> texts) {
  begin_array(key);
  for (const std::string& text : texts) value({}, text);
  end_array();
}

}  // namespace postern::wire
