#include "proxy/gateway/file_watch.h"

#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"
#include "tests/support/turn_until.h"

namespace file_watch_test {

using namespace postern;
using test_support::TempDirectory;

// A file that is watched, and what is heard of it.
struct Heard {
  std::string content;
  Errc error = Errc::unsupported;
  int told = 0;

  postern::runtime::LiveFile file(const std::string& path, config::FileUse use = config::FileUse::secret) {
    return {path, use, [this](const Result<config::File>& read) -> Result<bool> {
              ++told;
              if (!read) {
                error = read.error().code;
                return tl::unexpected(read.error());
              }
              content = read->content;
              return true;
            }};
  }
};

TEST_CASE("file watch: what is in a file now is handed on, and that it is gone") {
  const TempDirectory directory;
  net::Loop loop;
  Heard heard;
  postern::gateway::FileWatch watch(loop);
  watch.watch({heard.file(directory.write("secret", "one"))});
  watch.look();
  CHECK(heard.content == "one");
  directory.write("secret", "two");
  watch.look();
  CHECK(heard.content == "two");
  std::filesystem::rename(directory.write("next", "three"), directory.path("secret"));
  watch.look();
  CHECK(heard.content == "three");
  std::filesystem::remove(directory.path("secret"));
  watch.look();
  CHECK(heard.error == Errc::not_found);
}

TEST_CASE("file watch: what may not be read any more stays as it was") {
  const TempDirectory directory;
  net::Loop loop;
  Heard heard;
  postern::gateway::FileWatch watch(loop);
  std::filesystem::create_directory(directory.path("secret"));
  watch.watch({heard.file(directory.path("secret"))});
  watch.look();
  CHECK(heard.told == 0);
}

TEST_CASE("file watch: a file that has grown beyond all reason is an error, not read") {
  const TempDirectory directory;
  net::Loop loop;
  Heard heard;
  postern::gateway::FileWatch watch(loop);
  watch.watch({heard.file(directory.write("tickets", std::string(1281, 'k')), config::FileUse::ticket_keys)});
  watch.look();
  CHECK(heard.error == Errc::limit_exceeded);
}

TEST_CASE("file watch: it looks by itself, at those that it was given last") {
  const TempDirectory directory;
  net::Loop loop;
  Heard before;
  Heard heard;
  postern::gateway::FileWatch watch(loop, std::chrono::milliseconds(10));
  watch.watch({before.file(directory.write("secret", "one"))});
  watch.watch({heard.file(directory.path("secret"))});
  CHECK(test_support::turn_until(loop, [&] { return heard.told == 2; }));
  CHECK(before.told == 0);
}

}  // namespace file_watch_test
