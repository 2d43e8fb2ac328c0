#include "proxy/observe/log_line.h"

#include <utility>

#include "config/text.h"
#include "proxy/wire/json.h"

namespace postern::log {
namespace {

void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = config::utf8_length(text);
    const std::string_view character = text.substr(0, length == 0 ? 1 : length);
    if (character == "\"" || character == "\\") {
      out += '\\';
      out += character;
    } else if (length == 0 || config::is_misleading(config::code_point(character))) {
      for (const char octet : character) {
        out += "\\x";
        config::append_hex(out, static_cast<unsigned char>(octet), 2);
      }
    } else {
      out += character;
    }
    text.remove_prefix(character.size());
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

struct TextValue {
  std::string& out;

  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(std::string_view value) const {
    if (reads_as_one_word(value)) {
      out += value;
    } else {
      (*this)(std::span<const std::string_view>(&value, 1));
    }
  }
  template <class Text>
  void operator()(std::span<Text> texts) const {
    out += '"';
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (i > 0) out += "; ";
      append_escaped(out, texts[i]);
    }
    out += '"';
  }
  void operator()(auto number) const { wire::append_number(out, number); }
};

struct JsonMember {
  wire::JsonWriter& json;
  std::string_view name;

  void operator()(bool value) const { json.flag(name, value); }
  void operator()(std::span<const std::string> texts) const { json.values(name, texts); }
  void operator()(auto value) const { json.value(name, value); }
};

}  // namespace

void append_text(std::string& out, std::string_view message, std::span<const Field> fields) {
  append_escaped(out, message);
  for (const Field& field : fields) {
    out += ' ';
    out += field.name;
    out += '=';
    std::visit(TextValue{out}, field.value);
  }
}

void append_json(std::string& out, std::string_view message, std::span<const Field> fields) {
  wire::JsonWriter json(std::move(out), wire::JsonWriter::NotUtf8::shown);
  json.value("message", message);
  for (const Field& field : fields) std::visit(JsonMember{json, field.name}, field.value);
  out = json.take();
}

}  // namespace postern::log
