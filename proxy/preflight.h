// Everything that can be found wrong before anything is bound: what `check` does, and `run` first.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/load.h"
#include "proxy/dns/trust_anchor.h"
#include "proxy/policy/mta_sts_store.h"
#include "tls/contexts.h"

namespace postern {

struct Prepared {
  config::Loaded loaded;
  std::shared_ptr<const tls::Contexts> contexts;  // null: loaded.diagnostics holds an error
  dns::TrustAnchor trust_anchor;                  // empty: the default file is not there, so nothing is ever secure
};
// Reads and validates `file`, loads certificates, keys and the trust anchor, looks for the user. The user that is
// dropped to need not be able to read any of these.
Prepared prepare(const std::string& file);
// The same for settings that come from no file.
Prepared prepare(config::Loaded loaded);

// Runtime::mta_sts: what the state directory says of MTA-STS policies. Listeners share a store by what they say in
// `ca_file`, not by what is in it, so that another CA in the file makes nobody forget. That of `system` is the
// directory itself; others have a folder below it, made with the first policy and so by the user that Postern runs as.
// What cannot be read or written is logged.
std::vector<std::shared_ptr<policy::MtaStsStore>> open_mta_sts_stores(const config::Settings& settings,
                                                                      policy::MtaStsStore::Access access);

// Whether some outbound listener would use DANE.
bool wants_dane(const config::Settings& settings);

// Errors and warnings on stderr, a line each.
void print_diagnostics(const config::Loaded& loaded);

}  // namespace postern
