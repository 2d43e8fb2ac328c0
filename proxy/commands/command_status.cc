#include <cstdio>

#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/keeper/control.h"

namespace postern::commands {

int command_status(const StatusOptions& options) {
  const auto answer = ask_control(options.config, options.json ? keeper::control_status : keeper::control_status_text);
  if (!answer) {
    std::fprintf(stderr, "postern: %s\n", answer.error().message.c_str());
    return 1;
  }
  const bool written = std::fwrite(answer->data(), 1, answer->size(), stdout) == answer->size();
  return written && std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace postern::commands
