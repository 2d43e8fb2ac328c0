// The configuration file, with comments that say why.
#pragma once

#include <string>

#include "proxy/init/plan.h"

namespace postern::init {

std::string print_configuration(const Plan& plan, const Facts& facts);

// The ports that are for this use, in the plan's order, as addresses of this machine.
std::vector<std::string> listen_addresses(const Plan& plan, PortUse use);

}  // namespace postern::init
