#include "proxy/status/visible.h"

#include "config/text.h"

namespace postern::status {

namespace {

std::string_view entity_of(char c) {
  switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return {};
  }
}

}  // namespace

std::string visible(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = config::utf8_length(text);
    const std::string_view character = text.substr(0, length == 0 ? 1 : length);
    if (length == 0) {
      out += "\\x";
      config::append_hex(out, static_cast<unsigned char>(character.front()), 2);
    } else if (const std::uint32_t point = config::code_point(character); config::is_misleading(point)) {
      out += "\\u";
      config::append_hex(out, point, 4);
    } else {
      out += character;
    }
    text.remove_prefix(character.size());
  }
  return out;
}

void append_html(std::string& out, std::string_view text) {
  for (const char c : visible(text)) {
    const std::string_view entity = entity_of(c);
    if (entity.empty()) {
      out += c;
    } else {
      out += entity;
    }
  }
}

}  // namespace postern::status
