// What the machine is like: its addresses, who listens.
#pragma once

#include <string_view>
#include <vector>

#include "config/settings.h"
#include "proxy/intercept/plan.h"

namespace postern::intercept {

Machine look_at_machine(const config::Settings& settings);

// Where somebody listens, as /proc/net/tcp or tcp6 has it.
std::vector<config::Endpoint> listening_in(std::string_view table);
// Likewise, all of this machine (of the network namespace that we are in).
std::vector<config::Endpoint> listening_now();
// Those of a plan that nobody listens on.
std::vector<config::Endpoint> deaf(const Plan& plan, const std::vector<config::Endpoint>& listening);

}  // namespace postern::intercept
