// The configuration read anew while the gateway serves: what is to be swapped in, or why nothing changes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/diagnostic.h"
#include "proxy/keeper/listening.h"
#include "proxy/keeper/prepared.h"

namespace postern::keeper {

struct Reload {
  Prepared next;
  Listening::Change listening;  // bound; in use once the gateway serves the rest
  std::string options;          // that are others now: "hostname, inbound.mx2"; empty: none
  std::string files;            // with other contents, likewise
};

// What came of reading it.
struct Reading {
  std::optional<Reload> reload;
  std::string refusal;  // why there is none
  std::vector<config::Diagnostic> diagnostics;
};

// Nothing has changed yet. The log has the diagnostics.
Reading read_again(const std::string& file, const Prepared& present, const Listening& listening);

}  // namespace postern::keeper
