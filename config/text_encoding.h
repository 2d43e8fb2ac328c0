// What editors and other systems do to files of text before we see them.
#pragma once

#include <string>
#include <string_view>

namespace postern::config {

// Without the byte order marks (U+FEFF in UTF-8) that stand before it.
std::string_view without_mark(std::string_view text);

// Without those before any of its lines: files joined by `cat` bring theirs along.
std::string without_marks(std::string_view text);

// "UTF-16" or "UTF-32" where the first octets say so, with a mark or by the NULs of what would be ASCII; else empty.
std::string_view wide_encoding(std::string_view file);

}  // namespace postern::config
