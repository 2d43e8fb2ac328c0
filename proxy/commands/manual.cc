// The manual page of the program.
#include <string>

#include "config/manual.h"
#include "proxy/commands/command_facts.h"

namespace postern::commands {
namespace {

using config::roff;

constexpr std::string_view description = R"(.SH DESCRIPTION
Postern stands beside a mail server that speaks only plaintext and gives it TLS: clients reach the server by STARTTLS or implicit TLS,
and the server's own mail goes to other servers by TLS, as their and your policies demand.
A message is accepted only when the server behind has accepted it; there is no queue.
What it is to do stands in one file,
.BR postern.yaml (5).
)";

constexpr std::string_view rest = R"(.SH SIGNALS
Of
.BR "postern run" :
.TP
.B SIGHUP
Reads the configuration anew, and all files that it names: all of it is taken over, or nothing and the log says why.
.TP
.BR SIGTERM ", " SIGINT
Drains: running transactions end, idle clients hear 421; what still runs after
.B drain.timeout
is cut. A second one ends every session at once.
.TP
.B SIGUSR2
The file that it was started from is executed anew, takes over the listening sockets, and begins to serve; only then the
old one drains. If the new one does not serve within
.BR upgrade_grace ,
it is forgotten, and the old one has never stopped.
.SH EXIT STATUS
.TP
.B 0
All is well; of
.BR run ,
after it has drained.
.TP
.B 1
It could not start, the configuration has errors, or what was asked for is not so.
.TP
.B 2
Wrong usage.
.SH ENVIRONMENT
.TP
.BR NOTIFY_SOCKET ", " WATCHDOG_USEC ", " LISTEN_FDS
What a service manager says; see
.BR sd_notify (3)
and
.BR sd_listen_fds (3).
.PP
Values of the configuration may name any others.
.SH FILES
.TP
.I /etc/postern/postern.yaml
The configuration that the service has.
.TP
.I /run/postern/control
Where
.B postern reload
and
.B postern status
ask the running one, if
.B control
says so.
.TP
.I /var/lib/postern
For
.BR state_directory .
.SH SEE ALSO
.BR postern.yaml (5)
)";

std::string name_of(const OptionFacts& option) {
  std::string names;
  for (const std::string& name : option.names) names += (names.empty() ? "" : ", ") + roff(name);
  if (option.names.empty()) return "\\fI" + roff(option.type) + "\\fP";
  return "\\fB" + names + "\\fP" + (option.type.empty() ? "" : " \\fI" + roff(option.type) + "\\fP");
}

std::string in_synopsis(const OptionFacts& option) {
  const bool named = !option.names.empty();
  const std::string name = named ? "\\fB" + roff(option.names.back()) + "\\fP" : "";
  const std::string type = option.type.empty() ? "" : "\\fI" + roff(option.type) + "\\fP";
  const std::string both = name + (named && !type.empty() ? "\\~" : "") + type;
  return option.required ? both : "[" + both + "]";
}

bool is_help(const OptionFacts& option) {
  return !option.names.empty() && option.names.back() == "--help";
}

std::string synopsis(const CommandFacts& command) {
  std::string printed = ".B postern";
  if (!command.name.empty()) printed += " " + roff(command.name);
  for (const OptionFacts& option : command.options) {
    if (!is_help(option) || command.name.empty()) printed += "\n" + in_synopsis(option);
  }
  return printed;
}

std::string in_detail(const CommandFacts& command) {
  std::string printed = ".SS postern " + roff(command.name) + "\n" + roff(command.help) + ".\n";
  for (const OptionFacts& option : command.options) {
    if (is_help(option)) continue;
    printed += ".TP\n" + name_of(option) + "\n" + roff(option.help) + ".\n";
  }
  return printed;
}

}  // namespace

std::string print_manual(const std::vector<CommandFacts>& commands, std::string_view version) {
  std::string printed = config::manual_title("postern", 8, version) +
                        ".SH NAME\npostern \\- transparent TLS gateway for SMTP\n.SH SYNOPSIS\n";
  for (const CommandFacts& command : commands)
    printed += (&command == &commands.front() ? "" : ".br\n") + synopsis(command) + "\n";
  printed += std::string(description) + ".SH COMMANDS\n";
  for (const CommandFacts& command : commands) {
    if (!command.name.empty()) printed += in_detail(command);
  }
  return printed + std::string(rest);
}

}  // namespace postern::commands
