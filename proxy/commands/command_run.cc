#include "proxy/commands/commands.h"
#include "proxy/gateway/gateway.h"
#include "proxy/observe/log.h"
#include "proxy/runtime/machine_check.h"
#include "proxy/runtime/preflight.h"

namespace postern::commands {

int command_run(const RunOptions& options) {
  config::Loaded loaded = config::load_file(options.config, config::process_environment());
  log::set_early_format(loaded.settings.log.format);
  runtime::Prepared prepared = runtime::prepare(std::move(loaded));
  if (prepared.contexts != nullptr) runtime::check_root(prepared.loaded);
  runtime::log_diagnostics(prepared.loaded);
  if (!prepared.contexts) return 1;

  log::start(prepared.loaded.settings.log.level, prepared.loaded.settings.log.format);
  auto runtime = make_runtime(std::move(prepared), policy::MtaStsStore::Access::read_write);
  if (runtime->trust_anchor.empty() && runtime::wants_dane(runtime->settings)) {
    log::warning("DANE cannot be used", {{"reason", "there is no trust anchor for DNSSEC"},
                                         {"trust_anchor", runtime->settings.dns.trust_anchor}});
  }
  int status = 0;
  {
    gateway::Gateway gateway(runtime);
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

}  // namespace postern::commands
