// The rules that concern several options at once. What one option may be says its row in schema.cc.
#pragma once

#include "config/load.h"

namespace postern::config {

// Adds errors and warnings to loaded.diagnostics. Rules about options that are wrong already stay silent.
void check(Loaded& loaded);

}  // namespace postern::config
