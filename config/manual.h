// The manual page of the configuration file, for man(1).
#pragma once

#include <string>
#include <string_view>

namespace postern::config {

// Text as roff takes it: nothing in it is a request or an escape, and a hyphen can be copied into a command.
std::string roff(std::string_view text);

// The line that a page begins with.
std::string manual_title(std::string_view name, int section, std::string_view version);

// postern.yaml(5), printed from the schema's rows. `version` is this program's.
std::string print_manual(std::string_view version);

}  // namespace postern::config
