#include "proxy/process/privileges.h"

#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/machine.h"
#include "tests/support/skip.h"

namespace privileges_test {

using namespace postern::process;
using postern::test_support::is_root;

// Runs `action` in a process of its own, since what it gives up is gone for good; its exit status.
template <class Action>
int in_child(Action action) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(action());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool may_set(int level, int option) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  const bool may = ::setsockopt(fd, level, option, &on, sizeof on) == 0;
  ::close(fd);
  return may;
}
bool may_be_transparent() {
  return may_set(IPPROTO_IP, IP_TRANSPARENT);
}
bool may_mark() {
  return may_set(SOL_SOCKET, SO_MARK);
}

// The effective set, as the kernel shows it.
std::uint64_t capabilities() {
  std::ifstream status("/proc/thread-self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("CapEff:")) return std::stoull(line.substr(7), nullptr, 16);
  }
  return ~std::uint64_t{0};
}

TEST_CASE("privileges: a user's numbers can be handed to somebody who cannot look them up") {
  const Identity identity{{"mail", 8, 9}, {9, 100}};
  const auto same = parse_identity("mail", to_string(identity));
  REQUIRE(same);
  CHECK(same->user.name == "mail");
  CHECK(same->user.uid == 8);
  CHECK(same->user.gid == 9);
  CHECK(same->groups == identity.groups);
  CHECK(parse_identity("mail", "8:9:")->groups.empty());
  for (const char* wrong : {"", "8", "8:", ":9:", "8:9:x", "8:9:1,,2", "-1:9:", "4294967296:9:", "8:9x:1"}) {
    CHECK_FALSE(parse_identity("mail", wrong));
  }
}

TEST_CASE("privileges: an unknown user is told apart from a failing look-up") {
  const auto nobody = find_user("no-such-user-here");
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == postern::Errc::not_found);
  CHECK(find_user("root")->uid == 0);
}

TEST_CASE("privileges: root is given up for good, groups included") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  CHECK(in_child([] {
          if (!drop_privileges({.user = "nobody"})) return 1;
          if (::getuid() == 0 || ::getegid() == 0) return 2;
          if (::setuid(0) == 0) return 3;
          if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 4;
          if (may_be_transparent() || may_mark()) return 5;
          return capabilities() == 0 ? 0 : 6;
        }) == 0);
}

TEST_CASE("privileges: a transparent gateway keeps that one capability") {
  POSTERN_SKIP_UNLESS(is_root() && may_be_transparent(), "needs root, and the right to foreign source addresses");
  CHECK(in_child([] {
          if (!drop_privileges({.user = "nobody", .foreign_source_addresses = true})) return 1;
          if (::setuid(0) == 0) return 2;
          if (!may_be_transparent()) return 3;
          if (capabilities() != std::uint64_t{1} << CAP_NET_RAW) return 5;
          return ::access("/root/.", R_OK) == 0 ? 4 : 0;
        }) == 0);
}

TEST_CASE(
    "privileges: a gateway that marks its connections keeps the capability for that, and both where it needs both") {
  POSTERN_SKIP_UNLESS(is_root() && may_mark(), "needs root, and the right to mark sockets");
  constexpr std::uint64_t admin = std::uint64_t{1} << CAP_NET_ADMIN;
  CHECK(in_child([] {
          if (!drop_privileges({.user = "nobody", .marks_sockets = true})) return 1;
          if (::setuid(0) == 0) return 2;
          if (!may_mark()) return 3;
          return capabilities() == admin ? 0 : 4;
        }) == 0);
  CHECK(in_child([] {
          if (!drop_privileges({.user = "nobody", .foreign_source_addresses = true, .marks_sockets = true})) return 1;
          if (!may_mark() || !may_be_transparent()) return 2;
          return capabilities() == (admin | std::uint64_t{1} << CAP_NET_RAW) ? 0 : 3;
        }) == 0);
}

TEST_CASE("privileges: nothing is gained by executing a set-user-ID program, by nobody") {
  CHECK(in_child([] {
          if (!drop_privileges({.user = ""})) return 1;
          return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 2;
        }) == 0);
}

TEST_CASE("privileges: root that stays root keeps the right to write where others own, and nothing else") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  CHECK(in_child([] {
          if (!drop_privileges({.user = ""})) return 1;
          if (::geteuid() != 0) return 2;
          return capabilities() == std::uint64_t{1} << CAP_DAC_OVERRIDE ? 0 : 3;
        }) == 0);
}

// What a process that is executed as root has then.
std::uint64_t executed_capabilities() {
  int ends[2];
  if (::pipe(ends) != 0) return ~std::uint64_t{0};
  if (::fork() == 0) {
    ::dup2(ends[1], 1);
    ::execl("/bin/grep", "grep", "^CapEff", "/proc/self/status", nullptr);
    ::_exit(1);
  }
  ::close(ends[1]);
  char text[64] = {};
  const bool heard = ::read(ends[0], text, sizeof text - 1) > 8;
  ::close(ends[0]);
  return heard ? std::stoull(std::string(text).substr(7), nullptr, 16) : ~std::uint64_t{0};
}

TEST_CASE("privileges: the keeper keeps what keeping needs, and nobody whom it starts has more") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  constexpr auto mask = [](auto... capability) { return ((std::uint64_t{1} << capability) | ...); };
  constexpr std::uint64_t keeping = mask(CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID, CAP_KILL);
  constexpr std::uint64_t network = mask(CAP_NET_RAW, CAP_NET_ADMIN);
  const std::uint64_t had = capabilities();
  CHECK(in_child([&] {
          if (!drop_all_but_keeping({.user = "nobody"}, false)) return 1;
          if (capabilities() != (had & keeping)) return 2;
          if (executed_capabilities() != (had & keeping)) return 3;
          // As the gateway begins.
          return drop_privileges({.user = "nobody"}) && capabilities() == 0 ? 0 : 4;
        }) == 0);
  CHECK(in_child([&] {
          if (!drop_all_but_keeping({.user = "nobody", .foreign_source_addresses = true}, false)) return 1;
          return executed_capabilities() == (had & (keeping | network)) ? 0 : 2;
        }) == 0);
  CHECK(in_child([&] {
          if (!drop_all_but_keeping({.user = "nobody"}, true)) return 1;
          if (capabilities() != (had & keeping)) return 2;
          // Programs of root's, or set-user-ID ones, have what they always had.
          return executed_capabilities() == had ? 0 : 3;
        }) == 0);
}

TEST_CASE("privileges: dropping to a user that does not exist changes nothing and says so") {
  POSTERN_SKIP_UNLESS(is_root(), "needs root");
  CHECK(in_child([] {
          if (drop_privileges({.user = "no-such-user-here"})) return 1;
          return ::geteuid() == 0 ? 0 : 2;
        }) == 0);
}

}  // namespace privileges_test
