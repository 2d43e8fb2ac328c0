#include "proxy/resolver/launch.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.h"

namespace launch_test {

using namespace postern;
using namespace postern::resolver;

const Settings settings{{false, {"127.0.0.1@1"}, "the test"}, false, {". IN DS 1 8 2 00ff"}, {}};

// This test program is the resolver as well: one that ends without a word over any trust anchor, as libunbound has been
// seen to do.
[[noreturn]] void be_resolver() {
  constexpr int control = 3;
  std::vector<char> bytes(max_message);
  pollfd readable{control, POLLIN, 0};
  ::poll(&readable, 1, -1);
  const ssize_t size = ::recv(control, bytes.data(), bytes.size(), 0);
  if (size <= 0) ::_exit(1);
  const auto given = parse_settings({bytes.data(), static_cast<std::size_t>(size)});
  if (!given || !given->trust_anchor.empty()) ::_exit(1);
  const bool wrong = given->servers.servers.front() == "nobody";
  const std::string report = encode(Report{wrong ? Report::Kind::servers_refused : Report::Kind::ready, "as you like"});
  ::send(control, report.data(), report.size(), MSG_NOSIGNAL);
  ::_exit(0);
}

// Before the tests' own main.
__attribute__((constructor)) void maybe_resolver(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[0]) == "postern-resolver") be_resolver();
}

TEST_CASE("launch: a resolver that ends over the trust anchor has refused it") {
  const auto program = net::Executable::open("/proc/self/exe");
  REQUIRE(program);
  const auto report = try_settings(*program, settings);
  REQUIRE(report);
  CHECK(report->kind == Report::Kind::anchor_refused);
  CHECK(report->text.find("trust anchor") != std::string::npos);
  Settings without = settings;
  without.trust_anchor.clear();
  CHECK(try_settings(*program, without)->kind == Report::Kind::ready);
}

TEST_CASE("launch: one that ends without the anchor, too, has not been ended by it") {
  Settings wrong = settings;
  wrong.servers.servers = {"nobody"};
  const auto program = net::Executable::open("/proc/self/exe");
  REQUIRE(program);
  CHECK_FALSE(try_settings(*program, wrong));
  const auto nothing = net::Executable::open("/bin/false");
  REQUIRE(nothing);
  const auto report = try_settings(*nothing, settings);
  REQUIRE_FALSE(report);
  CHECK(report.error().code == Errc::closed);
}

TEST_CASE("launch: what cannot be executed is no program") {
  CHECK_FALSE(net::Executable::open("/etc/passwd"));
  CHECK_FALSE(net::Executable::open("/no/such/program"));
}

}  // namespace launch_test
