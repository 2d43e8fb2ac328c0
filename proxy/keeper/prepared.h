// One reading of the configuration and of all that it names: what the keeper knows by it, and what the gateway is told.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "config/diagnostic.h"
#include "config/load.h"
#include "config/result.h"
#include "proxy/keeper/bundle.h"
#include "proxy/keeper/file_watch.h"
#include "proxy/runtime/runtime.h"
#include "proxy/signing/signer.h"

namespace postern::keeper {

struct Prepared {
  std::shared_ptr<const runtime::Runtime> runtime;  // not equipped: the keeper serves nobody
  Bundle bundle;                                    // what it was made of, for the gateway
  signing::Keys keys;                               // that are not in the bundle
  Digests digests;                                  // of all files, as they were read
};

// What the log has said of it, too. Errors: nothing is prepared.
struct Preparation {
  std::optional<Prepared> prepared;
  std::vector<config::Diagnostic> diagnostics;
};
// The first time starts the log, unless there is an error.
Preparation prepare(config::Loaded loaded, const runtime::Runtime* previous);

}  // namespace postern::keeper
