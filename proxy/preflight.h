// Everything that can be found wrong before anything is bound: what `check` does, and `run` first.
#pragma once

#include <memory>
#include <string>

#include "config/load.h"
#include "tls/contexts.h"

namespace postern {

struct Prepared {
  config::Loaded loaded;
  std::shared_ptr<const tls::Contexts> contexts;  // null: loaded.diagnostics holds an error
};
// Reads and validates `file`, loads certificates and keys, looks for the user.
Prepared prepare(const std::string& file);

// Errors and warnings on stderr, a line each.
void print_diagnostics(const config::Loaded& loaded);

}  // namespace postern
