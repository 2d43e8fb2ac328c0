// What `postern probe` found, for people and for programs.
#pragma once

#include <string>

#include "proxy/session/probe.h"

namespace postern {

std::string print_probe(const session::ProbeReport& report);
std::string print_probe_json(const session::ProbeReport& report);

}  // namespace postern
