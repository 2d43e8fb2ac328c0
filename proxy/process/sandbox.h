// What a process of ours can do from some point on, whatever may have taken it over by then: which files there are for
// it (Landlock), and which system calls (seccomp).
#pragma once

#include <cstdint>
#include <string>

#include "config/settings.h"

namespace postern::process {

struct Sandbox {
  enum class Of : std::uint8_t {
    gateway,   // files below `directory`; TCP and unix sockets
    resolver,  // reads what names are looked up with, writes nothing; UDP, too
  };
  Of of = Of::gateway;
  config::SandboxMode mode = config::SandboxMode::off;
  std::string directory = {};  // the only one with files; empty: there is none
};

struct SandboxState {
  config::SandboxMode mode = config::SandboxMode::off;
  bool files = false;        // Landlock holds
  bool calls = false;        // seccomp holds
  std::string missing = {};  // of what was asked for, and why; empty: nothing
};

// For good, for this thread and those that it starts: call it before there are others, and after no_new_privs was set.
// Neither process can start another one, trace one, or make itself code. What is not allowed fails with EPERM, which a
// library survives that wanted it for something of no importance, and the kernel logs it where audit.log asks for that;
// with SandboxMode::log all goes on and the kernel logs what would have failed. A binary made with a sanitizer, which
// looks into itself, has none.
SandboxState enter_sandbox(const Sandbox& sandbox);

// The two halves. Empty: it holds; else why it does not.
std::string confine_files(const Sandbox& sandbox);
std::string confine_calls(const Sandbox& sandbox);

}  // namespace postern::process
