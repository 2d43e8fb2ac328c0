// What a configuration has a resolver process know.
#pragma once

#include "config/settings.h"
#include "proxy/resolver/messages.h"

namespace postern::runtime {

// What the process has to know. `servers` as they were found: where the configuration names none, they may change.
resolver::Settings resolver_settings(const config::Settings& settings, const dns::NameServers& servers,
                                     const dns::TrustAnchor& anchor);

}  // namespace postern::runtime
