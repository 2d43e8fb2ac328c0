#include "proxy/commands/commands.h"
#include "proxy/gateway/gateway.h"
#include "proxy/observe/log.h"
#include "proxy/runtime/machine_check.h"
#include "proxy/runtime/needs.h"
#include "proxy/runtime/preflight.h"

namespace postern::commands {

namespace {

// Null: the operator has been told why.
std::shared_ptr<runtime::Runtime> runtime_from(const std::string& file) {
  config::Loaded loaded = config::load_file(file, config::process_environment());
  log::set_early_format(loaded.settings.log.format);
  runtime::Made made = runtime::prepare(std::move(loaded));
  if (made.runtime != nullptr) runtime::check_root(made.loaded);
  runtime::log_diagnostics(made.loaded);
  if (made.runtime == nullptr) return nullptr;

  log::start(made.runtime->settings.log.level, made.runtime->settings.log.format);
  equip(*made.runtime, policy::MtaStsStore::Access::read_write);
  if (made.runtime->trust_anchor.empty() && runtime::needs(made.runtime->settings).dane) {
    log::warning("DANE cannot be used", {{"reason", "there is no trust anchor for DNSSEC"},
                                         {"trust_anchor", made.runtime->settings.dns.trust_anchor}});
  }
  return std::move(made.runtime);
}

}  // namespace

int command_run(const RunOptions& options) {
  std::shared_ptr<runtime::Runtime> runtime = runtime_from(options.config);
  if (runtime == nullptr) return 1;
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
