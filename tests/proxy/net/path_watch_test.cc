#include "proxy/net/path_watch.h"

#include <unistd.h>

#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"
#include "tests/support/turn_until.h"

namespace net_path_watch_test {

using namespace postern;
namespace fs = std::filesystem;

struct Rig {
  test_support::TempDirectory directory;
  net::Loop loop;
  int events = 0;
  net::PathWatch watch{loop.raw(), [this] { ++events; }};

  std::string path(const std::string& name) const { return directory.path(name); }
  // Whether something is told of what was done since; then all is watched anew.
  bool told(const std::string& name) {
    const bool any = test_support::turn_until(loop, [this] { return events > 0; });
    settle(name);
    return any;
  }
  bool told_nothing() {
    for (int turn = 0; turn < 3; ++turn) uv_run(loop.raw(), UV_RUN_NOWAIT);
    return events == 0;
  }
  void settle(const std::string& name) {
    CHECK_FALSE(watch.watch({path(name)}));
    for (int turn = 0; turn < 3; ++turn) uv_run(loop.raw(), UV_RUN_NOWAIT);
    events = 0;
  }
};

TEST_CASE("path watch: a file that is written, renamed over, removed, or there again") {
  Rig rig;
  rig.directory.write("file", "1");
  rig.settle("file");
  rig.directory.write("file", "2");
  CHECK(rig.told("file"));
  fs::rename(rig.directory.write("next", "3"), rig.path("file"));
  CHECK(rig.told("file"));
  rig.directory.write("file", "4");
  CHECK(rig.told("file"));
  fs::remove(rig.path("file"));
  CHECK(rig.told("file"));
  rig.directory.write("file", "5");
  CHECK(rig.told("file"));
}

TEST_CASE("path watch: its neighbours are nobody's business") {
  Rig rig;
  rig.directory.write("file", "1");
  rig.settle("file");
  rig.directory.write("other", "2");
  fs::remove(rig.path("other"));
  CHECK(rig.told_nothing());
}

TEST_CASE("path watch: what is written by another name of the file") {
  Rig rig;
  fs::create_directory(rig.path("elsewhere"));
  rig.directory.write("elsewhere/file", "1");
  fs::create_hard_link(rig.path("elsewhere/file"), rig.path("file"));
  rig.settle("file");
  rig.directory.write("elsewhere/file", "2");
  CHECK(rig.told("file"));
}

TEST_CASE("path watch: each link on the way, and where it leads") {
  Rig rig;
  for (const char* name : {"a", "b", "c"}) fs::create_directory(rig.path(name));
  rig.directory.write("a/file", "1");
  rig.directory.write("b/file", "2");
  fs::create_directory_symlink("a", rig.path("data"));
  fs::create_symlink("../data/./file", rig.path("c/link"));
  rig.settle("c/link");
  fs::create_directory_symlink(rig.path("b"), rig.path("next"));
  fs::rename(rig.path("next"), rig.path("data"));
  CHECK(rig.told("c/link"));
  rig.directory.write("b/file", "3");
  CHECK(rig.told("c/link"));
  rig.directory.write("a/file", "4");
  CHECK(rig.told_nothing());
  fs::remove(rig.path("c/link"));
  fs::create_symlink(rig.path("a/file"), rig.path("c/link"));
  CHECK(rig.told("c/link"));
}

TEST_CASE("path watch: a folder that is removed and made again, or renamed") {
  Rig rig;
  fs::create_directories(rig.path("one/two"));
  rig.directory.write("one/two/file", "1");
  rig.settle("one/two/file");
  fs::remove_all(rig.path("one"));
  CHECK(rig.told("one/two/file"));
  fs::create_directories(rig.path("one"));
  CHECK(rig.told("one/two/file"));
  fs::create_directories(rig.path("one/two"));
  CHECK(rig.told("one/two/file"));
  rig.directory.write("one/two/file", "2");
  CHECK(rig.told("one/two/file"));
  fs::rename(rig.path("one"), rig.path("away"));
  CHECK(rig.told("one/two/file"));
}

TEST_CASE("path watch: links that lead nowhere or around in circles, and no path at all, are no error") {
  Rig rig;
  fs::create_symlink("b", rig.path("a"));
  fs::create_symlink("a", rig.path("b"));
  fs::create_symlink("/nowhere/at/all", rig.path("c"));
  CHECK_FALSE(rig.watch.watch({rig.path("a"), rig.path("c"), rig.path("d/e/f"), "", "/"}));
  CHECK_FALSE(rig.watch.watch({}));
}

}  // namespace net_path_watch_test
