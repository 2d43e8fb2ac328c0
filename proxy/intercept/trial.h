// Rules that go again unless somebody says that they stay.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "config/result.h"
#include "proxy/intercept/kernel_rules.h"

namespace postern::intercept {

struct Verdict {
  enum class Kind : std::uint8_t {
    kept,        // somebody said so
    taken_back,  // what was there before is there again
    replaced,    // another has put rules in their place, or taken them away, meanwhile: nothing was changed
    failed,      // they did not come to be, or could not be taken back
  };
  Kind kind = Kind::failed;
  std::string words;  // why
};

// Puts the rules in place and waits for a key on the terminal (where we have one), for `patience` at most. They are
// put in place and taken back by a process of its own that belongs to no terminal: whatever becomes of us, SIGKILL
// included, they go at once; if that one is killed, we take them back. `on_ready` is told whether a key can be pressed
// once they are in place. SIGINT, SIGTERM, SIGHUP and SIGQUIT, and a terminal that goes away, end the wait.
Verdict try_out(const KernelRules& kernel, const std::string& rules, bool routes, std::chrono::milliseconds patience,
                const std::function<void(bool can_press)>& on_ready);

}  // namespace postern::intercept
