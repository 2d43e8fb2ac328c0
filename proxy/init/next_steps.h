// What is left to be done once the configuration is written, for the shell and the server behind.
#pragma once

#include <string>

#include "proxy/init/plan.h"

namespace postern::init {

// Numbered, in their order. `file` is where the configuration is.
std::string next_steps(const Plan& plan, const Facts& facts, const std::string& file);

}  // namespace postern::init
