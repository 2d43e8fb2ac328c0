#include "proxy/process/privileges.h"

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/catch.h"

namespace privileges_test {

using namespace postern::process;

// Runs `action` in a process of its own, since what it gives up is gone for good; its exit status.
template <class Action>
int in_child(Action action) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(action());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool may_be_transparent() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  const bool may = ::setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on) == 0;
  ::close(fd);
  return may;
}

TEST_CASE("privileges: an unknown user is told apart from a failing look-up") {
  const auto nobody = find_user("no-such-user-here");
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == postern::Errc::not_found);
  CHECK(find_user("root")->uid == 0);
}

TEST_CASE("privileges: root is given up for good, groups included") {
  if (::geteuid() != 0) return;
  CHECK(in_child([] {
          if (!drop_privileges({"nobody", false, false})) return 1;
          if (::getuid() == 0 || ::getegid() == 0) return 2;
          if (::setuid(0) == 0) return 3;
          if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 4;
          return may_be_transparent() ? 5 : 0;
        }) == 0);
}

TEST_CASE("privileges: a transparent gateway keeps that one capability") {
  if (::geteuid() != 0 || !may_be_transparent()) return;
  CHECK(in_child([] {
          if (!drop_privileges({"nobody", true, false})) return 1;
          if (::setuid(0) == 0) return 2;
          if (!may_be_transparent()) return 3;
          return ::access("/root/.", R_OK) == 0 ? 4 : 0;
        }) == 0);
}

TEST_CASE("privileges: a set-user-ID program behind exec stays possible") {
  CHECK(in_child([] {
          if (!drop_privileges({"", false, true})) return 1;
          return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
        }) == 0);
}

TEST_CASE("privileges: dropping to a user that does not exist changes nothing and says so") {
  if (::geteuid() != 0) return;
  CHECK(in_child([] {
          if (drop_privileges({"no-such-user-here", false, false})) return 1;
          return ::geteuid() == 0 ? 0 : 2;
        }) == 0);
}

}  // namespace privileges_test
