#include "config/diagnostic.h"

#include "config/characters.h"

namespace postern::config {
namespace {

bool continues_a_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

std::string escaped(char c) {
  constexpr std::string_view hex = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  return {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
  std::string line = diagnostic.file;
  if (diagnostic.place.line != 0) {
    line += ":" + std::to_string(diagnostic.place.line) + ":" + std::to_string(diagnostic.place.column);
  }
  line += diagnostic.severity == Diagnostic::Severity::error ? ": error: " : ": warning: ";
  return line + diagnostic.message;
}

std::string quote(std::string_view text) {
  constexpr std::size_t longest = 60;
  std::size_t end = text.size();
  if (end > longest) {
    end = longest;
    while (end > 0 && continues_a_character(text[end])) --end;
  }
  std::string quoted = "'";
  for (const char c : text.substr(0, end)) quoted += is_control(c) ? escaped(c) : std::string(1, c);
  return quoted + (end < text.size() ? "…'" : "'");
}

}  // namespace postern::config
