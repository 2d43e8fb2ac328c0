#include "proxy/process/spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>

#include "config/unique_fd.h"
#include "tests/support/catch.h"
#include "tests/support/machine.h"
#include "tests/support/skip.h"
#include "tests/support/temp_directory.h"

namespace spawn_test {

using namespace postern;
using namespace postern::process;
using postern::test_support::is_root;
using postern::test_support::TempDirectory;

struct Ran {
  std::string output;
  int status = -1;
};

// What it writes until it ends. `input` is what it reads.
Result<Ran> run(std::vector<std::string> argv, const std::optional<Identity>& identity = std::nullopt,
                std::vector<std::string> environment = {"PATH=/bin:/usr/bin"}, const std::string& input = "") {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  const auto child = spawn({std::move(argv), std::move(environment), theirs.get()}, identity);
  theirs = UniqueFd();
  if (!child) return tl::unexpected(child.error());
  if (!input.empty()) REQUIRE(::send(ours.get(), input.data(), input.size(), MSG_NOSIGNAL) > 0);
  ::shutdown(ours.get(), SHUT_WR);
  Ran ran;
  char space[4096];
  for (ssize_t size = 0; (size = ::read(ours.get(), space, sizeof space)) > 0;) {
    ran.output.append(space, static_cast<std::size_t>(size));
  }
  REQUIRE(::waitpid(*child, &ran.status, 0) == *child);
  return ran;
}

// Of its /proc/self/status, behind "NAME:".
std::string own_status(const std::string& name, const std::optional<Identity>& identity = std::nullopt) {
  const auto ran = run({"grep", "^" + name + ":", "/proc/self/status"}, identity);
  REQUIRE(ran);
  const std::size_t begin = ran->output.find_first_not_of(" \t", name.size() + 1);
  return begin == std::string::npos ? "" : ran->output.substr(begin, ran->output.find_last_not_of(" \n") + 1 - begin);
}

TEST_CASE("spawn: a program talks over its socket, has the environment that it is given, and no other descriptor") {
  const UniqueFd inheritable(::open("/", O_RDONLY));  // NOLINT: another library's, say
  REQUIRE(inheritable.get() >= 0);
  const auto cat = run({"cat"}, std::nullopt, {"PATH=/bin:/usr/bin"}, "EHLO client.example\r\n");
  REQUIRE(cat);
  CHECK(cat->output == "EHLO client.example\r\n");
  CHECK(WEXITSTATUS(cat->status) == 0);
  CHECK(run({"/usr/bin/env"}, std::nullopt, {"A=1", "B=two words"})->output == "A=1\nB=two words\n");
  CHECK(run({"ls", "/proc/self/fd"})->output == "0\n1\n2\n3\n");  // 3 is the one that ls reads the folder with
}

TEST_CASE("spawn: signals do what they do by default, and none is blocked") {
  struct sigaction ignored {};
  struct sigaction before {};
  ignored.sa_handler = SIG_IGN;
  REQUIRE(::sigaction(SIGHUP, &ignored, &before) == 0);
  sigset_t set;
  sigset_t mask;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGUSR1);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &set, &mask) == 0);
  CHECK(own_status("SigIgn") == "0000000000000000");
  CHECK(own_status("SigBlk") == "0000000000000000");
  sigset_t now;
  ::pthread_sigmask(SIG_SETMASK, &mask, &now);
  CHECK(::sigismember(&now, SIGUSR1) == 1);  // our own mask is what it was
  CHECK(::sigismember(&now, SIGUSR2) == 0);
  ::sigaction(SIGHUP, &before, nullptr);
}

TEST_CASE("spawn: what cannot be executed is an error that says what, and leaves no child") {
  const TempDirectory directory;
  const std::string file = directory.write("text", "no program");
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  CHECK(run({"/nonexistent/qmail-smtpd"}).error().message == "/nonexistent/qmail-smtpd: No such file or directory");
  CHECK(run({file}).error().message == file + ": Permission denied");
  CHECK(run({"no-such-program-here"}).error().message == "no-such-program-here: No such file or directory");
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("spawn: a name without a slash is looked for in the environment's PATH") {
  const TempDirectory directory;
  const std::string file = directory.write("own-program", "#!/bin/sh\necho \"$0\"\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  const std::string folder = file.substr(0, file.rfind('/'));
  CHECK(run({"own-program"}, std::nullopt, {"PATH=/nonexistent:" + folder + ":/bin"})->output == file + "\n");
  CHECK_FALSE(run({"own-program"}, std::nullopt, {"PATH=/bin"}));
}

TEST_CASE("spawn: a script that names no interpreter is the shell's") {
  const TempDirectory directory;
  const std::string file = directory.write("script", "echo \"$0 $1\"\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  CHECK(run({file, "-v"})->output == file + " -v\n");
}

TEST_CASE("spawn: a program becomes the user, with all of its groups and no capability") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  auto found = find_identity("nobody");
  REQUIRE(found);
  std::optional<Identity> nobody = *found;
  CHECK(nobody->groups == std::vector<gid_t>{nobody->user.gid});
  const std::string uid = std::to_string(nobody->user.uid);
  const std::string gid = std::to_string(nobody->user.gid);
  const auto four_times = [](const std::string& id) { return id + "\t" + id + "\t" + id + "\t" + id; };
  CHECK(own_status("Uid", nobody) == four_times(uid));
  CHECK(own_status("Gid", nobody) == four_times(gid));
  CHECK(own_status("Groups", nobody) == gid);
  nobody->groups.push_back(4242);
  const std::string groups = own_status("Groups", nobody);
  CHECK(groups.find("4242") != std::string::npos);
  CHECK(own_status("CapEff", nobody) == "0000000000000000");
  CHECK(own_status("CapPrm", nobody) == "0000000000000000");
  CHECK(own_status("NoNewPrivs", nobody) == "0");
}

TEST_CASE("spawn: capabilities that were made to survive an exec do not") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  const pid_t child = ::fork();
  if (child == 0) {
    // A service that was started as its user, with a capability that is handed on.
    ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
    sets[0] = {1U << CAP_NET_BIND_SERVICE, 1U << CAP_NET_BIND_SERVICE, 1U << CAP_NET_BIND_SERVICE};
    if (::syscall(SYS_capset, &header, sets) != 0) ::_exit(3);
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) != 0) ::_exit(4);
    const auto ran = run({"grep", "-c", "^Cap\\(Inh\\|Prm\\|Eff\\|Amb\\):.*[1-9a-f]", "/proc/self/status"});
    ::_exit(ran && ran->output == "0\n" ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("spawn: a user that cannot be become is an error, and nothing is executed") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  const Identity impossible{{"qmaild", static_cast<uid_t>(-1), static_cast<gid_t>(-1)}, {}};
  const auto ran = run({"/bin/echo", "never"}, impossible);
  REQUIRE_FALSE(ran);
  CHECK(ran.error().message.starts_with("cannot become qmaild: "));
  CHECK(find_identity("no-such-user-here").error().code == Errc::not_found);
}

TEST_CASE("spawn: standard descriptors that are closed here change nothing there") {
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(STDIN_FILENO);
    ::close(STDOUT_FILENO);
    const auto ran = run({"cat"}, std::nullopt, {"PATH=/bin:/usr/bin"}, "hello");
    ::_exit(ran && ran->output == "hello" ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace spawn_test
