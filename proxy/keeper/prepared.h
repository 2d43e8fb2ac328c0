// One reading of the configuration and of all that it names: what the keeper knows by it, and what the gateway is told.
#pragma once

#include <memory>
#include <optional>

#include "config/load.h"
#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/runtime/runtime.h"
#include "proxy/signing/signer.h"

namespace postern::keeper {

struct Prepared {
  std::shared_ptr<const runtime::Runtime> runtime;  // not equipped: the keeper serves nobody
  UniqueFd bundle;                                  // sealed
  signing::Keys keys;                               // that are not in the bundle

  // A descriptor of it to be given away.
  Result<UniqueFd> share() const;
};

// Nothing: the log has said why, and all else that there is to be said. The first time starts the log.
std::optional<Prepared> prepare(config::Loaded loaded, const runtime::Runtime* previous);

}  // namespace postern::keeper
