#include "proxy/process/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <map>

#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"

namespace service_manager_test {

using namespace postern;
using process::ServiceManager;

process::Variables variables(const std::map<std::string, std::string>& set) {
  return [set](const char* name) {
    const auto found = set.find(name);
    return found == set.end() ? nullptr : found->second.c_str();
  };
}

// Where a service manager would listen.
class Ear {
 public:
  explicit Ear(const std::string& name) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  }
  // Empty: nothing.
  std::string heard() const {
    char octets[4096];
    const ssize_t count = ::recv(fd_.get(), octets, sizeof octets, MSG_DONTWAIT);
    return count < 0 ? std::string() : std::string(octets, static_cast<std::size_t>(count));
  }

 private:
  UniqueFd fd_;
};

TEST_CASE("service manager: it hears what is said, by a path or an abstract name") {
  const test_support::TempDirectory directory;
  const bool abstract = GENERATE(false, true);
  const std::string name = abstract ? "@postern-" + std::to_string(::getpid()) : directory.write("x", "") + ".socket";
  const Ear ear(name);
  const auto manager = ServiceManager::find(variables({{"NOTIFY_SOCKET", name}}));
  REQUIRE(manager);
  CHECK(manager->listens());
  CHECK(manager->watchdog().count() == 0);
  manager->ready();
  CHECK(ear.heard() == "READY=1");
  manager->status("two\nlines");
  CHECK(ear.heard() == "STATUS=two lines");
  manager->reloading();
  CHECK(ear.heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  manager->stopping();
  CHECK(ear.heard() == "STOPPING=1");
  manager->alive();
  CHECK(ear.heard() == "WATCHDOG=1");
  manager->main_process(17);
  CHECK(ear.heard() == "MAINPID=17");
}

TEST_CASE("service manager: where there is none, or it has gone, nothing happens") {
  const auto none = ServiceManager::find(variables({}));
  REQUIRE(none);
  CHECK_FALSE(none->listens());
  none->ready();
  const auto gone = ServiceManager::find(variables({{"NOTIFY_SOCKET", "/nowhere/notify"}}));
  REQUIRE(gone);
  CHECK(gone->listens());
  gone->ready();
}

TEST_CASE("service manager: its watchdog is ours, unless it is another process's") {
  const auto watchdog = [](const std::string& interval, const std::string& pid) {
    const auto found =
        ServiceManager::find(variables({{"NOTIFY_SOCKET", "@x"}, {"WATCHDOG_USEC", interval}, {"WATCHDOG_PID", pid}}));
    return found ? found->watchdog().count() : -1;
  };
  CHECK(watchdog("30000000", "") == 30'000'000);
  CHECK(watchdog("30000000", std::to_string(::getpid())) == 30'000'000);
  CHECK(watchdog("30000000", "1") == 0);
  CHECK(watchdog("", "") == 0);
  for (const char* wrong : {"0", "-1", "30s", "99999999999999999999", "9223372036854775808"}) {
    CHECK(watchdog(wrong, "") == -1);
  }
}

TEST_CASE("service manager: what is no socket's address is said") {
  for (const std::string wrong : {"notify", "/", "@", "vsock:2:1234"}) {
    const auto found = ServiceManager::find(variables({{"NOTIFY_SOCKET", wrong}}));
    REQUIRE_FALSE(found);
    CHECK(found.error().message.find(wrong) != std::string::npos);
  }
  CHECK_FALSE(ServiceManager::find(variables({{"NOTIFY_SOCKET", "/" + std::string(200, 'x')}})));
}

TEST_CASE("service manager: the names of sockets that were handed to this process") {
  const auto names = [](const std::string& pid, const std::string& count, const std::string& named) {
    return process::activated_names(variables({{"LISTEN_PID", pid}, {"LISTEN_FDS", count}, {"LISTEN_FDNAMES", named}}));
  };
  using Names = std::vector<std::string>;
  const std::string ours = std::to_string(::getpid());
  CHECK(names(ours, "3", "mx:submission:mx") == Names{"mx", "submission", "mx"});
  CHECK(names(ours, "2", "") == Names{"unknown", "unknown"});
  CHECK(names(ours, "2", "mx") == Names{"mx", "unknown"});
  CHECK(names(ours, "1", "mx:more") == Names{"mx"});
  CHECK(names(ours, "0", "") == Names{});
  CHECK(names("1", "3", "a:b:c") == Names{});
  CHECK(names("", "3", "a:b:c") == Names{});
  for (const char* wrong : {"", "-1", "x", "4097"}) CHECK_FALSE(names(ours, wrong, ""));
}

TEST_CASE("service manager: a successor inherits all but what is meant for this process alone") {
  ::setenv("LISTEN_PID", "17", 1);
  ::setenv("WATCHDOG_PID", "17", 1);
  ::setenv("WATCHDOG_USEC", "1000", 1);
  bool watchdog = false;
  for (const std::string& each : process::environment_of_successor()) {
    CHECK_FALSE(each.starts_with("LISTEN_"));
    CHECK_FALSE(each.starts_with("WATCHDOG_PID="));
    watchdog = watchdog || each == "WATCHDOG_USEC=1000";
  }
  CHECK(watchdog);
  for (const char* each : {"LISTEN_PID", "WATCHDOG_PID", "WATCHDOG_USEC"}) ::unsetenv(each);
}

}  // namespace service_manager_test
