// How a file that `postern init` wrote is told from one that somebody has changed since.
#pragma once

#include <string>
#include <string_view>

namespace postern::init {

// The text with a line before it that knows it.
std::string stamped(const std::string& text);

// Nobody has changed what was stamped.
bool is_as_stamped(std::string_view file);

// The same; or there is nothing in it but comments and blanks.
bool is_untouched(std::string_view file);

}  // namespace postern::init
