// Values and comments as they are written into a configuration file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::init {

// UTF-8 without control characters, which a configuration does not take in any value.
bool can_be_written(std::string_view text);
inline constexpr const char* unwritable =
    " cannot stand in a configuration: text in UTF-8 is wanted, without control characters";

// A scalar that Postern reads back as `text`, whatever is in it: quoted where it has to be, with $$ for a dollar. Only
// for what can be written.
std::string yaml_scalar(std::string_view text);
std::string yaml_list(const std::vector<std::string>& texts);  // [a, "b c"]

// Comment lines of `text`, wrapped, each with `indent` blanks before it. What cannot be seen is escaped.
std::string yaml_comment(std::string_view text, std::size_t indent);

}  // namespace postern::init
