// Text that came from anywhere, so that a reader sees what it is and nothing in it does anything: controls, what turns
// a line around and octets that are no UTF-8 stand as \u202e and \x80. Pure.
#pragma once

#include <string>
#include <string_view>

namespace postern::status {

std::string visible(std::string_view text);
// Likewise within HTML: in an element's text, or in an attribute's quoted value.
void append_html(std::string& out, std::string_view text);

}  // namespace postern::status
