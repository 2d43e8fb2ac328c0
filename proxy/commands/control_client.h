// Asks the gateway that runs with a configuration, by its `control` socket.
#pragma once

#include <string>
#include <string_view>

#include "config/result.h"

namespace postern::commands {

// Says the word, and waits for all of the answer. `config` is the path of the configuration, which may have mistakes.
// An error is a sentence for people, with the remedy where there is one.
Result<std::string> ask_control(const std::string& config, std::string_view word);

}  // namespace postern::commands
