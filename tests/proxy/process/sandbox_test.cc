#include "proxy/process/sandbox.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "config/unique_fd.h"
#include "tests/support/catch.h"
#include "tests/support/skip.h"
#include "tests/support/temp_directory.h"

namespace sandbox_test {

using namespace postern;
using config::SandboxMode;
using process::Sandbox;

bool opens(const std::string& path, int flags) {
  return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC, 0600)).get() >= 0;
}

bool has_socket(int family, int type, int protocol = 0) {
  return UniqueFd(::socket(family, type | SOCK_CLOEXEC, protocol)).get() >= 0;
}

bool starts_a_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return child > 0;
}

bool executes() {
  const char* const words[] = {"true", nullptr};
  ::execv("/bin/true", const_cast<char**>(words));
  return errno != EPERM && errno != EACCES;
}

bool makes_code() {
  void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return ::mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ||
         ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

bool is_unknown(long number) {
  return ::syscall(number, nullptr, 0) == -1 && errno == ENOSYS;
}

bool knows_own_addresses() {
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) return false;
  ::freeifaddrs(found);
  return true;
}

bool starts_a_thread() {
  bool ran = false;
  std::thread([&ran] { ran = true; }).join();
  return ran;
}

// What a process could do in there, in words; executing last, as it might.
std::string could(const std::string& directory) {
  std::string found;
  const auto note = [&found](bool it_could, const char* what) {
    if (it_could) found += std::string(what) + " ";
  };
  note(opens("/etc/passwd", O_RDONLY), "passwd");
  note(opens(directory + "/outside", O_RDWR | O_CREAT), "outside");
  note(opens(directory + "/kept/inside", O_RDWR | O_CREAT), "inside");
  note(::rename((directory + "/kept/inside").c_str(), (directory + "/kept/moved").c_str()) == 0, "rename");
  note(opens("/proc/self/statm", O_RDONLY), "statm");
  note(opens("/dev/null", O_RDWR), "null");
  note(starts_a_process(), "fork");
  note(has_socket(AF_INET, SOCK_DGRAM), "udp");
  note(has_socket(AF_INET6, SOCK_DGRAM), "udp6");
  note(has_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), "raw");
  note(has_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK), "tcp");
  note(has_socket(AF_UNIX, SOCK_DGRAM), "unix");
  note(knows_own_addresses(), "addresses");
  note(makes_code(), "code");
  note(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0, "ptrace");
  note(::kill(::getppid(), 0) == 0, "kill");
  note(starts_a_thread(), "thread");
  note(is_unknown(SYS_clone3), "no_clone3");
  note(is_unknown(SYS_io_uring_setup), "no_io_uring");
  note(executes(), "exec");
  return found;
}

// Where nobody is held; nothing here changes what the process is.
bool is_free(const std::string& directory) {
  return opens("/etc/passwd", O_RDONLY) && opens(directory + "/outside", O_RDWR | O_CREAT) &&
         has_socket(AF_INET, SOCK_DGRAM) && starts_a_process();
}

struct World {
  test_support::TempDirectory directory;

  // In a child that has entered it: what was missing, a line, and what it could do.
  std::string tried(Sandbox::Of of, SandboxMode mode) {
    const std::string top = directory.path("top");
    ::mkdir(top.c_str(), 0700);
    ::mkdir((top + "/kept").c_str(), 0700);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      const auto state = process::enter_sandbox({of, mode, top + "/kept"});
      std::string found;
      if (mode != SandboxMode::on) {
        found = is_free(top) ? "free" : "held";
      } else if (state.missing.empty()) {  // else it would end as whatever it executes
        found = could(top);
      }
      const std::string said =
          state.missing + "\n" + (state.files ? "landlock " : "") + (state.calls ? "seccomp " : "") + found;
      (void)!::write(writing.get(), said.data(), said.size());
      ::_exit(0);
    }
    writing = UniqueFd();
    std::string heard(4'096, '\0');
    const ssize_t size = ::read(reading.get(), heard.data(), heard.size());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    heard.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return heard;
  }
};

TEST_CASE("sandbox: a gateway has the files of one directory, TCP, and nothing to start or to become") {
  const std::string heard = World().tried(Sandbox::Of::gateway, SandboxMode::on);
  POSTERN_SKIP_UNLESS(heard.starts_with("\n"), heard.substr(0, heard.find('\n')));
  CHECK(heard == "\nlandlock seccomp inside rename statm null tcp unix addresses thread no_clone3 no_io_uring ");
}

TEST_CASE("sandbox: a resolver has UDP, too, reads what names are looked up with, and writes nothing") {
  const std::string heard = World().tried(Sandbox::Of::resolver, SandboxMode::on);
  POSTERN_SKIP_UNLESS(heard.starts_with("\n"), heard.substr(0, heard.find('\n')));
  CHECK(heard == "\nlandlock seccomp passwd statm null udp udp6 tcp unix addresses code thread no_clone3 no_io_uring ");
}

TEST_CASE("sandbox: one that only logs, or is off, holds nobody") {
  for (const auto of : {Sandbox::Of::gateway, Sandbox::Of::resolver}) {
    CHECK(World().tried(of, SandboxMode::off) == "\nfree");
    const std::string heard = World().tried(of, SandboxMode::log);
    POSTERN_SKIP_UNLESS(heard.starts_with("\n"), heard.substr(0, heard.find('\n')));
    CHECK(heard == "\nfree");
  }
}

}  // namespace sandbox_test
