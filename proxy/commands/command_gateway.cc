#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>

#include "proxy/commands/commands.h"
#include "proxy/gateway/gateway.h"
#include "proxy/observe/log.h"
#include "proxy/process/descriptors.h"
#include "proxy/process/file_limit.h"
#include "tls/before_sandbox.h"

namespace postern::commands {

namespace {

constexpr int control = 3;

bool is_packet_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

}  // namespace

int command_gateway(const process::Privileges& privileges) {
  if (!is_packet_socket(control) || ::fcntl(control, F_SETFD, FD_CLOEXEC) != 0) {
    std::fprintf(stderr, "postern: gateway: is started by postern run, and not by people\n");
    return 2;
  }
  // A terminal and a service manager tell all processes; the keeper says what is to be done.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) std::signal(number, SIG_IGN);
  ::prctl(PR_SET_NAME, "postern-gateway", 0, 0, 0);  // it is executed by a name that means nothing
  process::close_from(control + 1);
  // Before a word is read.
  if (const auto dropped = process::drop_privileges(privileges); !dropped) {
    const std::string message = encode(keeper::Report(keeper::Refused{0, dropped.error().message}));
    (void)!::send(control, message.data(), message.size(), MSG_NOSIGNAL);
    return 1;
  }
  process::raise_file_limit();  // two descriptors a session, and the soft limit is often 1024
  ::tzset();                    // the C library opens /etc/localtime once
  tls::prepare_for_sandbox();
  const process::SandboxState sandbox = process::enter_sandbox(privileges.sandbox);
  {
    gateway::Gateway gateway(UniqueFd(control), sandbox);
    gateway.run();
  }
  log::stop();
  return 0;
}

}  // namespace postern::commands
