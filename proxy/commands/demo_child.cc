#include "proxy/commands/demo_child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "config/unique_fd.h"

namespace postern::commands {
namespace {

// In the child, between fork and exec: system calls only.
[[noreturn]] void become(char* const* argv, int output) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);  // the demo itself waits for its signals blocked
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execv("/proc/self/exe", argv);
  ::_exit(127);
}

}  // namespace

Result<DemoChild> DemoChild::start(const std::vector<std::string>& arguments, const std::string& output) {
  const UniqueFd file(::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (file.get() < 0) return fail(Errc::io, "cannot write " + output + ": " + std::strerror(errno));
  std::vector<std::string> words = {"postern"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  const pid_t pid = ::fork();
  if (pid < 0) return fail(Errc::io, std::string("cannot fork: ") + std::strerror(errno));
  if (pid == 0) become(argv.data(), file.get());
  return DemoChild(pid);
}

bool DemoChild::running() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) != 0) pid_ = -1;
  return pid_ > 0;
}

DemoChild::~DemoChild() {
  if (!running()) return;
  ::kill(pid_, SIGTERM);
  for (int tenths = 0; tenths < 50 && running(); ++tenths) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

}  // namespace postern::commands
