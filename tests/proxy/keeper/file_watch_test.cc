#include "proxy/keeper/file_watch.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"
#include "tests/support/turn_until.h"

namespace keeper_file_watch_test {

using namespace postern;
using postern::keeper::digests_of;
using test_support::TempDirectory;

// A watch over the files of a configuration, and what it has told.
struct Rig {
  TempDirectory directory;
  net::Loop loop;
  config::Loaded loaded;
  std::vector<postern::keeper::FileWatch::Changes> told;
  postern::keeper::FileWatch watch;

  explicit Rig(std::chrono::milliseconds interval = std::chrono::hours(1),
               postern::keeper::FileWatch::Clock now = std::chrono::system_clock::now)
      : watch(
            loop, [this](auto changes) { told.push_back(std::move(changes)); }, interval, now) {
    loaded.settings.dns.trust_anchor.clear();
    loaded.settings.outbound.emplace_back().ca_file = directory.path("ca");
    loaded.settings.outbound.back().relay.auth.emplace().password_file = directory.path("secret");
    directory.write("ca", "CA");
  }
  void begin() { watch.watch(loaded, config::read_files(loaded)); }
  void write(const std::string& content) { directory.write("secret", content); }
  // What the last look has told of the password.
  std::string looked() {
    told.clear();
    watch.look();
    if (told.empty()) return "nothing";
    const auto& file = told.front().live.at(directory.path("secret"));
    return file ? file->content : file.error().message;
  }
};

TEST_CASE("keeper's file watch: what is new is told once, and that a file is gone or back") {
  Rig rig;
  rig.write("one");
  rig.begin();
  CHECK(rig.looked() == "nothing");
  rig.write("two");
  CHECK(rig.looked() == "two");
  CHECK(rig.told.front().live.by_path().size() == 1);
  CHECK(rig.told.front().others.empty());
  CHECK(rig.looked() == "nothing");
  std::filesystem::rename(rig.directory.write("next", "three"), rig.directory.path("secret"));
  CHECK(rig.looked() == "three");
  std::filesystem::remove(rig.directory.path("secret"));
  CHECK(rig.looked() == "cannot read " + rig.directory.path("secret") + ": No such file or directory");
  CHECK(rig.looked() == "nothing");
  rig.write("four");
  CHECK(rig.looked() == "four");
}

TEST_CASE("keeper's file watch: what changed between reading and the first look is told") {
  Rig rig;
  rig.write("one");
  const config::Files files = config::read_files(rig.loaded);
  rig.write("two");
  rig.watch.watch(rig.loaded, files);
  CHECK(rig.looked() == "two");
}

TEST_CASE("keeper's file watch: a change that neither size nor time tells is told where it is soon after another") {
  Rig rig;
  rig.write("one");
  rig.begin();
  CHECK(rig.looked() == "nothing");
  struct stat before {};
  REQUIRE(::stat(rig.directory.path("secret").c_str(), &before) == 0);
  rig.write("two");
  const timespec times[] = {before.st_atim, before.st_mtim};
  REQUIRE(::utimensat(AT_FDCWD, rig.directory.path("secret").c_str(), times, 0) == 0);
  CHECK(rig.looked() == "two");
}

TEST_CASE("keeper's file watch: what has not been touched for a while is not opened") {
  Rig rig(std::chrono::hours(1), [] { return std::chrono::system_clock::now() + std::chrono::seconds(10); });
  rig.write("one");
  rig.begin();
  rig.watch.look();
  const UniqueFd opened(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  REQUIRE(::inotify_add_watch(opened.get(), rig.directory.path("secret").c_str(), IN_OPEN) >= 0);
  char event[1024];
  rig.watch.look();
  CHECK(::read(opened.get(), event, sizeof event) < 0);
  rig.write("two");
  CHECK(::read(opened.get(), event, sizeof event) > 0);
  CHECK(rig.looked() == "two");
  CHECK(::read(opened.get(), event, sizeof event) > 0);
}

TEST_CASE("keeper's file watch: what was told is told again where somebody missed it") {
  Rig rig;
  rig.write("one");
  rig.begin();
  CHECK(rig.looked() == "nothing");
  rig.watch.tell_again({rig.directory.path("secret"), "/nobody's"});
  CHECK(rig.looked() == "one");
  CHECK(rig.told.front().others.empty());
  CHECK(rig.looked() == "nothing");
}

TEST_CASE("keeper's file watch: a link that leads elsewhere is another file") {
  Rig rig;
  std::filesystem::create_symlink(rig.directory.write("first", "one"), rig.directory.path("secret"));
  rig.begin();
  CHECK(rig.looked() == "nothing");
  std::filesystem::create_symlink(rig.directory.write("second", "two"), rig.directory.path("link"));
  std::filesystem::rename(rig.directory.path("link"), rig.directory.path("secret"));
  CHECK(rig.looked() == "two");
}

TEST_CASE("keeper's file watch: one that grew beyond all reason is told as an error") {
  Rig rig;
  rig.write("one");
  rig.begin();
  rig.write(std::string(65537, 'x'));
  CHECK(rig.looked() == rig.directory.path("secret") + " is larger than 65536 octets");
}

TEST_CASE("keeper's file watch: it looks by itself, at the files of the configuration that it was given last") {
  Rig rig(std::chrono::milliseconds(10));
  rig.write("one");
  rig.begin();
  config::Loaded other;
  other.settings.dns.trust_anchor.clear();
  other.settings.outbound.emplace_back().ca_file = rig.directory.path("ca");
  rig.watch.watch(other, config::read_files(other));
  rig.write("two");
  rig.directory.write("ca", "another");
  CHECK(test_support::turn_until(rig.loop, [&] { return !rig.told.empty(); }));
  CHECK(rig.told.front().others.by_path().size() == 1);
  CHECK(rig.told.front().others.at(rig.directory.path("ca"))->content == "another");
  rig.watch.watch(config::Loaded(), config::Files());
}

TEST_CASE("keeper's file watch: what another snapshot would need and cannot be read is told as lost, once") {
  Rig rig;
  rig.begin();
  std::filesystem::remove(rig.directory.path("ca"));
  rig.watch.look();
  rig.watch.look();
  REQUIRE(rig.told.size() == 1);
  CHECK(rig.told.front().others.empty());
  REQUIRE(rig.told.front().lost.size() == 1);
  CHECK(rig.told.front().lost.front().path == rig.directory.path("ca"));
  CHECK(rig.told.front().lost.front().use == config::FileUse::authorities);
  CHECK(rig.told.front().lost.front().why.code == Errc::not_found);
  CHECK(rig.told.front().lost.front().is_new);
  rig.watch.tell_again({rig.directory.path("ca")});  // it is to be tried again, and is no news
  rig.watch.look();
  REQUIRE(rig.told.size() == 2);
  REQUIRE(rig.told.back().lost.size() == 1);
  CHECK_FALSE(rig.told.back().lost.front().is_new);
  rig.directory.write("ca", "CA");
  rig.watch.look();
  CHECK(rig.told.back().others.at(rig.directory.path("ca"))->content == "CA");
}

TEST_CASE("keeper's file watch: what is used in both ways is not only a matter of the running snapshot") {
  Rig rig;
  rig.loaded.settings.tls.session_tickets.key_file = rig.directory.path("ca");
  rig.loaded.settings.outbound.back().relay.auth->password_file = rig.directory.path("ca");
  rig.begin();
  rig.directory.write("ca", "another");
  rig.watch.look();
  REQUIRE(rig.told.size() == 1);
  CHECK(rig.told.front().live.empty());
  CHECK(rig.told.front().others.at(rig.directory.path("ca"))->content == "another");
}

TEST_CASE(
    "keeper's file watch: certificates and keys are told, also that they are gone, and an anchor where it is needed") {
  Rig rig;
  config::Loaded loaded;
  loaded.settings.certificates["mx"] = {{rig.directory.write("chain", "1"), rig.directory.write("key", "1")}};
  loaded.settings.dns.trust_anchor = rig.directory.write("anchor", "1");
  const auto told = [&](const char* content) {
    rig.watch.watch(loaded, config::read_files(loaded));
    for (const char* name : {"chain", "key", "anchor"}) rig.directory.write(name, content);
    rig.told.clear();
    rig.watch.look();
    return rig.told.empty() ? std::size_t{0} : rig.told.front().others.by_path().size();
  };
  CHECK(told("two") == 2);
  CHECK(rig.told.front().others.at(rig.directory.path("key"))->content == "two");
  loaded.settings.outbound.emplace_back().ca_file = rig.directory.path("ca");
  CHECK(told("three") == 3);
  CHECK(rig.told.front().others.at(rig.directory.path("anchor"))->content == "three");
  std::filesystem::remove(rig.directory.path("key"));
  rig.told.clear();
  rig.watch.look();
  REQUIRE(rig.told.size() == 1);
  CHECK(rig.told.front().lost.empty());
  CHECK_FALSE(rig.told.front().others.at(rig.directory.path("key")).has_value());
}

TEST_CASE("keeper's file watch: what was not kept as it was read is known by its digest") {
  Rig rig;
  rig.write("one");
  const auto digests = digests_of(config::read_files(rig.loaded));
  config::Files others;
  others.put(rig.directory.path("secret"), config::File{"something else", false, true});
  rig.watch.watch(rig.loaded, others, digests);
  CHECK(rig.looked() == "nothing");
}

TEST_CASE("keeper's file watch: changes are noticed as they happen, once it is quiet") {
  Rig rig;
  rig.write("one");
  rig.begin();
  const auto begun = rig.loop.now();
  CHECK(test_support::turn_until(rig.loop, [&] { return rig.loop.now() > begun + 400; }));
  CHECK(rig.told.empty());
  rig.write("two");
  CHECK(test_support::turn_until(rig.loop, [&] { return !rig.told.empty(); }));
  REQUIRE(rig.told.size() == 1);
  CHECK(rig.told.front().live.at(rig.directory.path("secret"))->content == "two");
  std::filesystem::rename(rig.directory.write("next", "three"), rig.directory.path("secret"));
  CHECK(test_support::turn_until(rig.loop, [&] { return rig.told.size() == 2; }));
  CHECK(rig.told.back().live.at(rig.directory.path("secret"))->content == "three");
  rig.watch.tell_again({rig.directory.path("secret")});
  CHECK(test_support::turn_until(rig.loop, [&] { return rig.told.size() == 3; }));
}

TEST_CASE("keeper's file watch: this machine's own list of CAs is watched where servers are verified by it") {
  Rig rig;
  const char* const before = std::getenv("SSL_CERT_FILE");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("SSL_CERT_FILE", rig.directory.write("system", "CAs").c_str(), 1);
  config::Loaded loaded;
  loaded.settings.dns.trust_anchor.clear();
  loaded.settings.certificates["mx"];
  const auto told = [&](const char* content) {
    rig.watch.watch(loaded, config::read_files(loaded));
    rig.directory.write("system", content);
    rig.told.clear();
    rig.watch.look();
    return rig.told.empty() ? std::string("nothing") : rig.told.front().others.authorities().file->content;
  };
  CHECK(told("others") == "nothing");
  loaded.settings.outbound.emplace_back();
  CHECK(told("more") == "more");
  CHECK(rig.told.front().others.authorities().path == rig.directory.path("system"));
  before != nullptr ? ::setenv("SSL_CERT_FILE", kept.c_str(), 1) : ::unsetenv("SSL_CERT_FILE");
}

}  // namespace keeper_file_watch_test
