// Starts a program as whoever it is to be, with a socket to talk over and nothing else of ours.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "config/result.h"
#include "proxy/process/privileges.h"

namespace postern::process {

struct Program {
  std::vector<std::string> argv;         // without a slash in it, the first is looked for in the environment's PATH
  std::vector<std::string> environment;  // "NAME=value"
  int socket = -1;                       // becomes its descriptors 0 and 1; stays ours, too
};

// Its process, a child that the caller reaps. Only the socket, and our stderr as descriptor 2, are open in it; signals
// do what they do by default, none is blocked; it has none of our capabilities, but may gain those that its file gives
// it. `identity`: whom it becomes, where we are root. Returns once it is executed, within two seconds: an error says
// what could not be done ("cannot become qmaild: …", "/var/qmail/bin/qmail-smtpd: No such file or directory"). One that
// was not executed in time is killed, and left to be reaped.
Result<pid_t> spawn(const Program& program, const std::optional<Identity>& identity);

}  // namespace postern::process
