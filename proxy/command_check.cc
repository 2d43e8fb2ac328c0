#include <cstdio>

#include "config/reference.h"
#include "proxy/commands.h"
#include "proxy/machine_check.h"
#include "proxy/preflight.h"

namespace postern {

int command_check(const CheckOptions& options) {
  if (options.print_reference) {
    std::fputs(config::print_reference().c_str(), stdout);
    return 0;
  }
  Prepared prepared = prepare(options.config);
  if (prepared.contexts != nullptr) {
    check_root(prepared.loaded);
    check_backend_names(prepared.loaded);
    check_relay_names(prepared.loaded, prepared.name_servers, prepared.trust_anchor);
  }
  print_diagnostics(prepared.loaded);
  if (prepared.contexts == nullptr) return 1;
  std::printf("%s: ok\n", options.config.c_str());
  return 0;
}

}  // namespace postern
