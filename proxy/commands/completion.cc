// Completion for shells: printed from what the command line takes, so that it knows every command and option.
#include <string>

#include "config/text.h"
#include "proxy/commands/command_facts.h"

namespace postern::commands {
namespace {

using config::shell_quoted;

// What stands behind an option, as far as a shell can help.
enum class Behind { nothing, file, folder, command, anything };

Behind behind(const OptionFacts& option) {
  if (option.type.empty()) return Behind::nothing;
  if (option.type == "FILE") return Behind::file;
  if (option.type == "DIR") return Behind::folder;
  if (option.type == "COMMAND") return Behind::command;
  return Behind::anything;
}

std::string words(const std::vector<CommandFacts>& commands) {
  std::string printed;
  for (const CommandFacts& command : commands) {
    if (!command.name.empty()) printed += (printed.empty() ? "" : " ") + command.name;
  }
  return printed;
}

std::string names(const CommandFacts& command) {
  std::string printed;
  for (const OptionFacts& option : command.options) {
    for (const std::string& name : option.names) printed += (printed.empty() ? "" : " ") + name;
  }
  return printed;
}

// One branch of a `case` of bash for those names that want the same.
std::string bash_branch(const std::vector<CommandFacts>& commands, Behind kind, const std::string& action) {
  std::string patterns;
  for (const CommandFacts& command : commands) {
    for (const OptionFacts& option : command.options) {
      if (behind(option) != kind) continue;
      for (const std::string& name : option.names) {
        patterns += (patterns.empty() ? "" : " | ") + shell_quoted(command.name + " " + name);
      }
    }
  }
  return patterns.empty() ? "" : "        " + patterns + ") " + action + "; return ;;\n";
}

// In [ ] of _arguments.
std::string zsh_text(const std::string& text) {
  std::string printed;
  for (const char c : text) printed += (c == '[' || c == ']' || c == ':' || c == '\\' ? "\\" : "") + std::string(1, c);
  return printed;
}

std::string zsh_argument(const OptionFacts& option) {
  const std::string action = [&] {
    switch (behind(option)) {
      case Behind::file: return ":_files";
      case Behind::folder: return ":_files -/";
      case Behind::command: return ":($names)";
      case Behind::nothing:
      case Behind::anything: break;
    }
    return ":";
  }();
  const std::string value = option.type.empty() ? "" : ":" + zsh_text(option.type) + action;
  if (option.names.empty()) return " \"1" + value + "\"";
  std::string printed;
  for (const std::string& name : option.names) {
    printed += " " + shell_quoted((option.repeated ? "*" : "") + name + "[" + zsh_text(option.help) + "]" + value);
  }
  return printed;
}

}  // namespace

std::string print_bash_completion(const std::vector<CommandFacts>& commands) {
  std::string printed =
      "# Completion of postern's commands and options for bash; printed by the program itself.\n"
      "_postern() {\n"
      "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= i\n"
      "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "        case ${COMP_WORDS[i]} in -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac\n"
      "    done\n"
      "    COMPREPLY=()\n"
      "    case \"$command $before\" in\n";
  printed +=
      bash_branch(commands, Behind::file, "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\")");
  printed +=
      bash_branch(commands, Behind::folder, "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$word\")");
  printed += bash_branch(commands, Behind::anything, ":");
  printed += "    esac\n    case $command in\n";
  for (const CommandFacts& command : commands) {
    std::string given = names(command);
    if (command.name.empty()) given = words(commands) + " " + given;
    for (const OptionFacts& option : command.options) {
      if (option.names.empty() && behind(option) == Behind::command) given += " " + words(commands);
    }
    printed += "        " + shell_quoted(command.name) + ") mapfile -t COMPREPLY < <(compgen -W " +
               shell_quoted(given) + " -- \"$word\") ;;\n";
  }
  return printed + "    esac\n}\ncomplete -F _postern postern\n";
}

std::string print_zsh_completion(const std::vector<CommandFacts>& commands) {
  std::string printed =
      "#compdef postern\n"
      "# Completion of postern's commands and options for zsh; printed by the program itself.\n"
      "local names=" +
      shell_quoted(words(commands)) + "\nlocal -a commands=(\n";
  for (const CommandFacts& command : commands) {
    if (!command.name.empty()) printed += "    " + shell_quoted(command.name + ":" + zsh_text(command.help)) + "\n";
  }
  printed +=
      ")\nif ((CURRENT == 2)) && [[ $words[2] != -* ]]; then\n"
      "    _describe command commands\n    return\nfi\n"
      "local command=$words[2]\n"
      "shift words\n((CURRENT--))\ncase $command in\n";
  for (const CommandFacts& command : commands) {
    printed += "    " + (command.name.empty() ? std::string("-*") : command.name) + ") _arguments";
    for (const OptionFacts& option : command.options) printed += " \\\n       " + zsh_argument(option);
    printed += " ;;\n";
  }
  return printed + "esac\n";
}

}  // namespace postern::commands
