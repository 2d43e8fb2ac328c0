// What the keeper sent, made into what sessions run on.
#pragma once

#include <memory>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/runtime/runtime.h"

namespace postern::gateway {

// Of a sealed bundle. `previous`: the snapshot that is to be followed, or null. The keeper has found nothing wrong with
// it; an error says the first thing that is wrong here.
Result<std::shared_ptr<const runtime::Runtime>> make_snapshot(const UniqueFd& bundle, const runtime::Runtime* previous);

// By the same name servers and the same trust anchor; else another resolver follows.
bool asks_as_before(const runtime::Runtime& snapshot, const runtime::Runtime& previous);

}  // namespace postern::gateway
