// The reference: a whole configuration file with every option, its default, its bounds and what it is for.
#pragma once

#include <string>

#include "config/settings.h"

namespace postern::config {

// The defaults, and the least that a working gateway needs besides: what the reference shows.
Settings sample_settings();

// Printed from the schema's rows. It loads as it is; options without a default are commented out, with an example.
std::string print_reference();

}  // namespace postern::config
