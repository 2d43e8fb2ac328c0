// The configuration read anew while the gateway serves: what is to be swapped in, or why nothing changes.
#pragma once

#include <optional>
#include <string>

#include "proxy/keeper/listening.h"
#include "proxy/keeper/prepared.h"

namespace postern::keeper {

struct Reload {
  Prepared next;
  Listening::Change listening;  // bound; in use once the gateway serves the rest
  std::string changed;          // "hostname, inbound.mx2"; empty: nothing
};

// Nothing: the log has said why.
std::optional<Reload> reload(const std::string& file, const Prepared& present, const Listening& listening);

}  // namespace postern::keeper
