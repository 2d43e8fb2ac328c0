// What to write instead, where a text is no YAML: libyaml's own words tell where its grammar gave up, and seldom why.
#pragma once

#include <string>
#include <string_view>

#include "config/diagnostic.h"

namespace postern::config {

// "; put it in quotes: \"[::]:25\"", or nothing where no trap is recognised. `problem` is what libyaml says, at
// `place`; a list, a mapping or a quoted text that it was in begins at `context` ({0,0}: none).
std::string yaml_advice(std::string_view text, Place place, std::string_view problem, Place context);

}  // namespace postern::config
