// Everything that can be found wrong before anything is bound: what `check` does, and `run` first.
#pragma once

#include <memory>
#include <string>

#include "config/load.h"
#include "proxy/dns/name_servers.h"
#include "proxy/dns/trust_anchor.h"
#include "tls/contexts.h"

namespace postern::runtime {

struct Prepared {
  config::Loaded loaded;
  std::shared_ptr<const tls::Contexts> contexts;  // null: loaded.diagnostics holds an error
  dns::TrustAnchor trust_anchor;                  // empty: the default file is not there, so nothing is ever secure
  dns::NameServers name_servers;                  // for those who ask; with outbound listeners only
};
// Reads and validates `file`, loads certificates, keys and the trust anchor, looks for the user. The user that is
// dropped to need not be able to read any of these. `previous`: the contexts of the snapshot that is to be followed, or
// null; what outlives a snapshot is taken over from them.
Prepared prepare(const std::string& file, const tls::Contexts* previous = nullptr);
// The same for settings that have been loaded.
Prepared prepare(config::Loaded loaded, const tls::Contexts* previous = nullptr);

// Whom to ask, and where that stands.
Result<dns::NameServers> name_servers_of(const config::Loaded& loaded);

// Whether some outbound listener would use DANE.
bool wants_dane(const config::Settings& settings);

// Errors and warnings on stderr, a line each.
void print_diagnostics(const config::Loaded& loaded);
// The same for `run`, which promises that with `log.format: json` every line is JSON.
void log_diagnostics(const config::Loaded& loaded);

}  // namespace postern::runtime
