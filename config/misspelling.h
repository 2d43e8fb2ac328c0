// What was meant by a value that nearly is one: other programs' spellings, and slips that are seen often.
#pragma once

#include <string>
#include <string_view>

namespace postern::config {

// All three are asked about a text that could not be read. They complete the sentence that begins with it, as in
// " has a blank in it: remove it"; empty: nothing is known.
std::string address_meant_by(std::string_view text);
std::string duration_meant_by(std::string_view text);
std::string size_meant_by(std::string_view text);

}  // namespace postern::config
