// Replies of a server: single lines, and whole multi-line replies as they stream in.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"

namespace postern::smtp::before {

// One line of a reply (RFC 5321 4.2.1): three digits, '-' or ' ' or nothing, text.
struct ReplyLine {
  int code = 0;
  bool last = true;
  std::string_view text;
};
// `line` is without its terminator. Nothing if it is not a reply line (codes 200 to 599).
std::optional<ReplyLine> parse_reply_line(std::string_view line);

}  // namespace postern::smtp::before
