// What a service manager such as systemd is told (sd_notify(3)), and the sockets that it hands over (sd_listen_fds(3)).
// Both are a few lines of documented protocol: a library for them would bring its own libraries into every process of
// ours.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "config/unique_fd.h"

namespace postern::process {

// As getenv(3).
using Variables = std::function<const char*(const char* name)>;

class ServiceManager {
 public:
  // As NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say. An error: they say nothing that can be used.
  static Result<ServiceManager> find(const Variables& variables);
  // Nobody listens: what is said goes nowhere.
  ServiceManager() = default;

  bool listens() const { return socket_.get() >= 0; }
  // So often at least it wants to hear that all is well; zero: it does not.
  std::chrono::microseconds watchdog() const { return watchdog_; }

  // Ready, for the first time or after reloading().
  void ready() const { say("READY=1"); }
  // ready() follows, whatever comes of it.
  void reloading() const;
  void stopping() const { say("STOPPING=1"); }
  void alive() const { say("WATCHDOG=1"); }
  // One line for people.
  void status(std::string_view text) const;
  // That process takes our place.
  void main_process(pid_t pid) const { say("MAINPID=" + std::to_string(pid)); }

 private:
  void say(const std::string& state) const;

  UniqueFd socket_;
  std::string address_;  // a path; an abstract one begins with a zero octet
  std::chrono::microseconds watchdog_{0};
};

// The names of the sockets that were handed to this process, which has them from descriptor 3 on, as LISTEN_PID,
// LISTEN_FDS and LISTEN_FDNAMES say. Empty: none, or they are another process's. Unnamed ones are called "unknown".
Result<std::vector<std::string>> activated_names(const Variables& variables);

// The file that was executed, by a path that leads to whatever is there now. Empty: it was none, but a descriptor.
std::string path_of_program();

// The environment without what is meant for one process alone: for who is started in its place.
std::vector<std::string> environment_of_successor();

}  // namespace postern::process
