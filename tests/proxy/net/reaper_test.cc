#include "proxy/net/reaper.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "config/unique_fd.h"
#include "proxy/net/helper_process.h"
#include "tests/support/catch.h"
#include "tests/support/turn_until.h"

namespace reaper_test {

using namespace postern;
using postern::test_support::turn_until;

template <class Action>
pid_t in_child(Action action) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(action());
  return child;
}

bool is_gone(pid_t process) {
  return ::kill(process, 0) != 0 && errno == ESRCH;
}

// It has ended, and nobody has reaped it.
void wait_for_zombie(pid_t child) {
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
}

TEST_CASE("reaper: whoever watches a child is told how it ended, once") {
  net::Loop loop;
  net::Reaper reaper(loop);
  std::vector<int> told;
  const pid_t child = in_child([] { return 3; });
  reaper.watch(child, [&](int status) { told.push_back(status); });
  CHECK(turn_until(loop, [&] { return !told.empty(); }));
  CHECK(WEXITSTATUS(told[0]) == 3);
  CHECK(is_gone(child));
  const pid_t killed = in_child([] { return ::pause(); });
  reaper.watch(killed, [&](int status) { told.push_back(status); });
  ::kill(killed, SIGKILL);
  CHECK(turn_until(loop, [&] { return told.size() == 2; }));
  CHECK(WTERMSIG(told[1]) == SIGKILL);
}

TEST_CASE("reaper: what a child leaves behind is ours to reap, and so is a child that nobody watches") {
  net::Loop loop;
  net::Reaper reaper(loop);
  int pipe[2];
  REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const UniqueFd numbers(pipe[0]);
  const UniqueFd sent(pipe[1]);
  const pid_t child = in_child([&] {
    for (int i = 0; i < 3; ++i) {
      const pid_t grandchild = in_child([] { return ::usleep(50'000); });
      if (::write(sent.get(), &grandchild, sizeof grandchild) != sizeof grandchild) return 1;
    }
    return 0;
  });
  std::optional<int> ended;
  reaper.watch(child, [&](int status) { ended = status; });
  pid_t grandchildren[3];
  for (pid_t& each : grandchildren) REQUIRE(::read(numbers.get(), &each, sizeof each) == sizeof each);
  const pid_t forgotten = in_child([] { return 0; });
  reaper.watch(forgotten, [](int) { FAIL("nobody wants to hear of it"); });
  reaper.forget(forgotten);
  CHECK(turn_until(loop, [&] {
    return ended && is_gone(forgotten) &&
           std::all_of(std::begin(grandchildren), std::end(grandchildren), [](pid_t each) { return is_gone(each); });
  }));
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("reaper: a child that ended before anybody looked is found") {
  const pid_t child = in_child([] { return 0; });
  wait_for_zombie(child);
  net::Loop loop;
  const net::Reaper reaper(loop);
  CHECK(turn_until(loop, [&] { return is_gone(child); }));
}

TEST_CASE("reaper: those that libuv started are libuv's, and hide no others meanwhile") {
  net::Loop loop;
  net::Reaper reaper(loop);
  std::string how;
  const auto helper = net::HelperProcess::start(loop.raw(), "/bin/sh", {"sh", "-c", "exit 5"}, {}, {},
                                                [&](const std::string& told) { how = told; });
  REQUIRE(helper);
  wait_for_zombie((*helper)->pid());
  bool told = false;
  const pid_t child = in_child([] { return 0; });
  reaper.watch(child, [&](int) { told = true; });
  wait_for_zombie(child);
  const pid_t stranger = in_child([] { return 0; });
  wait_for_zombie(stranger);
  reaper.look();
  CHECK(told);
  CHECK(how.empty());
  CHECK(turn_until(loop, [&] { return !how.empty() && is_gone(stranger); }));
  CHECK(how == "exit status 5");
}

}  // namespace reaper_test
