// What the command line takes, as plain data: for the manual page and for shells.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::commands {

struct OptionFacts {
  std::vector<std::string> names;  // "--config"; empty: a word without one
  std::string type;                // what stands behind it, such as FILE; empty: nothing
  std::string help;
  bool required = false;
  bool repeated = false;
};

struct CommandFacts {
  std::string name;  // empty: what stands in front of any command
  std::string help;
  std::vector<OptionFacts> options;
};

// postern(8), for man(1). `version` is this program's.
std::string print_manual(const std::vector<CommandFacts>& commands, std::string_view version);

// Scripts by which a shell completes what is being typed.
std::string print_bash_completion(const std::vector<CommandFacts>& commands);
std::string print_zsh_completion(const std::vector<CommandFacts>& commands);

}  // namespace postern::commands
