#include "proxy/preflight.h"

#include <cstdio>

#include "proxy/process/privileges.h"

namespace postern {

Prepared prepare(const std::string& file) {
  Prepared prepared{config::load_file(file, config::process_environment()), nullptr};
  config::Loaded& loaded = prepared.loaded;
  if (!loaded.ok()) return prepared;  // the settings are not to be used

  if (const std::string& user = loaded.settings.user; !user.empty()) {
    if (const auto found = process::find_user(user); !found) loaded.add_error("user", found.error().message);
  }
  prepared.contexts = tls::Contexts::build(loaded);
  if (!loaded.ok()) prepared.contexts = nullptr;
  return prepared;
}

void print_diagnostics(const config::Loaded& loaded) {
  for (const config::Diagnostic& diagnostic : loaded.diagnostics) {
    std::fprintf(stderr, "%s\n", config::to_string(diagnostic).c_str());
  }
}

}  // namespace postern
