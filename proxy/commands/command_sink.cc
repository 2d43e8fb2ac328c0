#include <cstdio>

#include "proxy/commands/commands.h"

namespace postern::commands {

int command_sink(const sink::SinkOptions& options) {
  const auto served = sink::run_sink(options);
  if (served) return 0;
  std::fprintf(stderr, "postern sink: %s\n", served.error().message.c_str());
  return 1;
}

}  // namespace postern::commands
