// Whatever stands in a configuration file, loading it ends with settings or with errors that say why.
#include <cstdint>

#include "config/assert.h"
#include "config/load.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::config;
  const auto environment = [](const std::string& name) { return name.size() % 2 == 0 ? "2" : nullptr; };
  const Loaded loaded = load_text({reinterpret_cast<const char*>(data), size}, "fuzz.yaml", environment);
  POSTERN_ASSERT(!loaded.ok() || !loaded.settings.inbound.empty(), "a configuration without a listener was accepted");
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    POSTERN_ASSERT(!diagnostic.message.empty(), "a mistake without a sentence");
  }
  return 0;
}
