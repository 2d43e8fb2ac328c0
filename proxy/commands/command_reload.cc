#include <cstdio>
#include <string_view>

#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/keeper/control.h"

namespace postern::commands {

int command_reload(const ReloadOptions& options) {
  const auto answer = ask_control(options.config, keeper::control_reload);
  if (!answer) {
    std::fprintf(stderr, "postern: %s\n", answer.error().message.c_str());
    return 1;
  }
  const bool done = answer->starts_with(keeper::control_done);
  const std::size_t line = answer->find('\n');
  std::fputs(answer->c_str() + (line == std::string::npos ? 0 : line + 1), done ? stdout : stderr);
  return done ? 0 : 1;
}

}  // namespace postern::commands
