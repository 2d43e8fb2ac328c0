#include <algorithm>

#include "proxy/commands.h"
#include "proxy/gateway.h"
#include "proxy/observe/log.h"
#include "proxy/preflight.h"
#include "proxy/process/host_name.h"

namespace postern {

int command_run(const RunOptions& options) {
  Prepared prepared = prepare(options.config);
  print_diagnostics(prepared.loaded);
  if (!prepared.contexts) return 1;

  auto runtime = std::make_shared<Runtime>();
  runtime->settings = std::move(prepared.loaded.settings);
  runtime->contexts = std::move(prepared.contexts);
  runtime->trust_anchor = std::move(prepared.trust_anchor);
  runtime->hostname = runtime->settings.hostname.empty() ? process::host_name() : runtime->settings.hostname;

  const bool intercepts = std::ranges::any_of(runtime->settings.outbound, [](const auto& listener) {
    return listener.route == config::OutboundRoute::original_destination;
  });
  if (intercepts) runtime->own_connections = std::make_shared<net::OwnConnections>();

  log::start(runtime->settings.log.level, runtime->settings.log.format);
  if (runtime->trust_anchor.empty() && wants_dane(runtime->settings)) {
    log::warning("DANE cannot be used", {{"reason", "there is no trust anchor for DNSSEC"},
                                         {"trust_anchor", runtime->settings.dns.trust_anchor}});
  }
  runtime->mta_sts = open_mta_sts_stores(runtime->settings, policy::MtaStsStore::Access::read_write);
  int status = 0;
  {
    Gateway gateway(runtime);
    if (const auto error = gateway.start()) {
      log::error("cannot start", {{"reason", error->message}});
      status = 1;
    } else {
      gateway.run();
    }
  }
  runtime.reset();  // what is not yet written of MTA-STS policies is now; that may be something to log
  log::stop();
  return status;
}

}  // namespace postern
