// How much TLS an operator demands toward a remote server, in Postfix's words.
#pragma once

#include <optional>
#include <string_view>

#include "config/settings.h"

namespace postern::policy {

using Level = config::TlsLevel;
std::string_view to_string(Level level);  // "dane-only"
std::optional<Level> parse_level(std::string_view text);

}  // namespace postern::policy
