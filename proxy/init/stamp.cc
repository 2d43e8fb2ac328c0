#include "proxy/init/stamp.h"

#include <algorithm>

#include "config/text.h"
#include "tls/tlsa.h"

namespace postern::init {
namespace {

constexpr std::string_view stamp_begin =
    "# Written by `postern init`, which replaces this file while nobody has changed it. ";

std::string stamp_of(std::string_view text) {
  std::string stamp(stamp_begin);
  const std::string digest = tls::sha256(text);
  for (std::size_t i = 0; i < 8; ++i) config::append_hex(stamp, static_cast<unsigned char>(digest[i]), 2);
  return stamp + '\n';
}

bool says_nothing(std::string_view file) {
  while (!file.empty()) {
    const std::size_t end = std::min(file.find('\n'), file.size());
    const std::string_view line = file.substr(0, end);
    const std::size_t begin = line.find_first_not_of(" \t\r");
    if (begin != line.npos && line[begin] != '#') return false;
    file.remove_prefix(std::min(end + 1, file.size()));
  }
  return true;
}

}  // namespace

std::string stamped(const std::string& text) {
  return stamp_of(text) + text;
}

bool is_as_stamped(std::string_view file) {
  const std::size_t end = file.find('\n');
  return end != file.npos && file.substr(0, end + 1) == stamp_of(file.substr(end + 1));
}

bool is_untouched(std::string_view file) {
  return says_nothing(file) || is_as_stamped(file);
}

}  // namespace postern::init
