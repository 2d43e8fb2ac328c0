#include <cstdio>

#include "config/reference.h"
#include "proxy/commands/commands.h"
#include "proxy/runtime/machine_check.h"
#include "proxy/runtime/preflight.h"

namespace postern::commands {

int command_check(const CheckOptions& options) {
  if (options.print_reference) {
    std::fputs(config::print_reference().c_str(), stdout);
    return 0;
  }
  runtime::Prepared prepared = runtime::prepare(options.config);
  if (prepared.contexts != nullptr) {
    runtime::check_root(prepared.loaded);
    runtime::check_backend_names(prepared.loaded);
    runtime::check_relay_names(prepared.loaded, prepared.name_servers, prepared.trust_anchor);
  }
  runtime::print_diagnostics(prepared.loaded);
  if (prepared.contexts == nullptr) return 1;
  std::printf("%s: ok\n", options.config.c_str());
  return 0;
}

}  // namespace postern::commands
