// What `postern probe` found, for people and for programs.
#pragma once

#include <string>

#include "proxy/probe/probe.h"

namespace postern::probe {

std::string print_probe(const ProbeReport& report);
std::string print_probe_json(const ProbeReport& report);

}  // namespace postern::probe
