#include <cstdio>

#include "config/manual.h"
#include "config/reference.h"
#include "proxy/commands/commands.h"
#include "proxy/observe/exposition.h"
#include "proxy/runtime/machine_check.h"
#include "proxy/runtime/preflight.h"

namespace postern::commands {

int command_check(const CheckOptions& options) {
  if (options.print_reference) {
    std::fputs(config::print_reference().c_str(), stdout);
    return 0;
  }
  if (options.print_metrics) {
    std::fputs(observe::print_metric_reference().c_str(), stdout);
    return 0;
  }
  if (options.print_manual) {
    std::fputs(config::print_manual(version()).c_str(), stdout);
    return 0;
  }
  runtime::Made made = runtime::prepare(options.config);
  if (made.runtime != nullptr) {
    runtime::check_root(made.loaded);
    runtime::check_backend_names(made.loaded);
    runtime::check_relay_names(made.loaded, made.runtime->name_servers, made.runtime->trust_anchor);
  }
  runtime::print_diagnostics(made.loaded);
  if (options.verbose) print_tls_library();
  if (made.runtime == nullptr) return 1;
  std::printf("%s: ok\n", options.config.c_str());
  return 0;
}

}  // namespace postern::commands
