#include "config/text_encoding.h"

namespace postern::config {

using namespace std::string_view_literals;

namespace {
constexpr std::string_view mark = "\xef\xbb\xbf";
}

std::string_view without_mark(std::string_view text) {
  while (text.starts_with(mark)) text.remove_prefix(mark.size());
  return text;
}

std::string without_marks(std::string_view text) {
  std::string kept;
  while (!text.empty()) {
    text = without_mark(text);
    const std::size_t end = text.find('\n');
    const std::size_t length = end == std::string_view::npos ? text.size() : end + 1;
    kept += text.substr(0, length);
    text.remove_prefix(length);
  }
  return kept;
}

std::string_view wide_encoding(std::string_view file) {
  if (file.starts_with("\xff\xfe\0\0"sv) || file.starts_with("\0\0\xfe\xff"sv)) return "UTF-32";
  if (file.starts_with("\xff\xfe"sv) || file.starts_with("\xfe\xff"sv)) return "UTF-16";
  if (file.size() < 4) return {};
  const auto is_nul = [file](std::size_t at) { return file[at] == '\0'; };
  const bool little_endian = !is_nul(0) && is_nul(1) && !is_nul(2) && is_nul(3);
  const bool big_endian = is_nul(0) && !is_nul(1) && is_nul(2) && !is_nul(3);
  if (little_endian || big_endian) return "UTF-16";
  const bool wide = is_nul(1) && is_nul(2) && is_nul(0) != is_nul(3);
  return wide ? "UTF-32" : "";
}

}  // namespace postern::config
