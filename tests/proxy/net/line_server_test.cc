#include "proxy/net/line_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "proxy/net/loop.h"
#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/support/turn_until.h"

namespace line_server_test {

using namespace postern;

struct Rig {
  test_support::TempDirectory directory;
  net::Loop loop;
  std::vector<std::pair<std::string, std::uint64_t>> heard;
  std::unique_ptr<net::LineServer> server;

  explicit Rig(net::LineServer::Bounds bounds = {}) {
    auto bound = net::bind_unix(path(), net::OpenTo::owner);
    REQUIRE(bound);
    auto started = net::LineServer::start(
        loop.raw(), std::move(*bound), bounds,
        [this](std::string_view line, std::uint64_t caller) { heard.emplace_back(std::string(line), caller); });
    REQUIRE(started);
    server = std::move(*started);
  }
  std::string path() const { return directory.path("control"); }

  UniqueFd connect(std::string_view says) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().data(), path().size());
    REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    if (!says.empty()) REQUIRE(::send(fd.get(), says.data(), says.size(), 0) > 0);
    return fd;
  }
  // All that is said to it until the connection ends.
  std::string answer(const UniqueFd& fd) {
    std::string answer;
    REQUIRE(test_support::turn_until(loop, [&] {
      char octets[4096];
      const ssize_t size = ::recv(fd.get(), octets, sizeof octets, MSG_DONTWAIT);
      if (size > 0) answer.append(octets, static_cast<std::size_t>(size));
      return size == 0 || (size < 0 && errno != EAGAIN);
    }));
    return answer;
  }
};

TEST_CASE("line server: a line is heard without its end, in however many pieces, and answered to the end") {
  Rig rig;
  struct stat found {};
  REQUIRE(::stat(rig.path().c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
  const UniqueFd caller = rig.connect("rel");
  const UniqueFd other = rig.connect("status\nand more");
  REQUIRE(test_support::turn_until(rig.loop, [&] { return rig.heard.size() == 1; }));
  REQUIRE(::send(caller.get(), "oad\r\n", 5, 0) == 5);
  REQUIRE(::shutdown(caller.get(), SHUT_WR) == 0);
  REQUIRE(test_support::turn_until(rig.loop, [&] { return rig.heard.size() == 2; }));
  CHECK(rig.heard[0].first == "status");
  CHECK(rig.heard[1].first == "reload");
  const std::string large(1U << 20U, 'x');
  rig.server->answer(rig.heard[1].second, large);
  rig.server->answer(rig.heard[1].second, "twice");
  CHECK(rig.answer(caller) == large);
  rig.server->answer(rig.heard[0].second, "ready\n");
  CHECK(rig.answer(other) == "ready\n");
  rig.server->answer(rig.heard[0].second, "nobody");
}

TEST_CASE("line server: somebody else can answer") {
  Rig rig;
  const UniqueFd caller = rig.connect("status\n");
  REQUIRE(test_support::turn_until(rig.loop, [&] { return !rig.heard.empty(); }));
  UniqueFd taken = rig.server->take(rig.heard[0].second);
  REQUIRE(taken.get() >= 0);
  CHECK(rig.server->take(rig.heard[0].second).get() < 0);
  REQUIRE(::send(taken.get(), "{}", 2, 0) == 2);
  taken = UniqueFd();
  CHECK(rig.answer(caller) == "{}");
}

TEST_CASE(
    "line server: too many, a line that is too long or does not come, and an answer that nobody reads cost little") {
  Rig rig({.callers = 2, .line = 8, .patience = std::chrono::milliseconds(1'500)});
  const UniqueFd silent = rig.connect("");
  const UniqueFd deaf = rig.connect("status\n");
  REQUIRE(test_support::turn_until(rig.loop, [&] { return !rig.heard.empty(); }));
  CHECK(rig.answer(rig.connect("status\n")).empty());
  rig.server->answer(rig.heard[0].second, std::string(8U << 20U, 'x'));
  CHECK(rig.answer(silent).empty());
  CHECK(rig.answer(rig.connect("123456789\n")).empty());
  CHECK(rig.answer(rig.connect(std::string(64, 'x'))).empty());
  std::uint64_t last = 0;
  REQUIRE(test_support::turn_until(rig.loop, [&] {  // the other's place is free, too
    const UniqueFd one = rig.connect("12345678\n");
    for (int turn = 0; turn < 4; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
    last = rig.heard.back().second;
    return rig.heard.size() > 1;
  }));
  CHECK(rig.heard.back().first == "12345678");
  CHECK(rig.server->take(last).get() >= 0);
}

}  // namespace line_server_test
