// What sessions run on: settings and TLS contexts, immutable. A session keeps the one that it started with.
#pragma once

#include <memory>
#include <string>

#include "config/load.h"
#include "tls/contexts.h"

namespace postern {

struct Runtime {
  config::Settings settings;
  std::shared_ptr<const tls::Contexts> contexts;
  std::string hostname;
};

}  // namespace postern
