#include "proxy/commands/commands.h"
#include "proxy/keeper/keeper.h"
#include "proxy/observe/log.h"

namespace postern::commands {

int command_run(const RunOptions& options) {
  const int status = keeper::Keeper(options.config).run();
  log::stop();
  return status;
}

}  // namespace postern::commands
