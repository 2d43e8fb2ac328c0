#include "proxy/policy/mta_sts_cache.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/file.h"
#include "tests/support/catch.h"

namespace mta_sts_cache_test {

using namespace postern::policy;
using namespace std::chrono_literals;
using Domains = std::vector<std::string>;

const Time start = Time(std::chrono::seconds(1'800'000'000));

CachedPolicy entry(std::string id, std::chrono::seconds max_age = 240h, Time fetched = start) {
  return {std::move(id), {MtaStsMode::enforce, max_age, {"mx.example.org"}}, fetched};
}

struct Directory {
  std::string path = (std::filesystem::temp_directory_path() / "mta-sts-test-XXXXXX").string();
  Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path); }
};

TEST_CASE("mta_sts_cache: a policy is in force until its max_age is over") {
  MtaStsCache cache;
  cache.store("example.org", entry("1", 1h));
  REQUIRE(cache.find("example.org", start));
  CHECK(cache.find("example.org", start + 59min));
  CHECK_FALSE(cache.find("example.org", start + 1h));
  CHECK_FALSE(cache.find("sub.example.org", start));
}

TEST_CASE("mta_sts_cache: a domain with a record and no policy is fetched, one without a record is not") {
  const MtaStsCache cache;
  CHECK(cache.should_fetch("example.org", "1", start));
  CHECK_FALSE(cache.should_fetch("example.org", "", start));
}

TEST_CASE("mta_sts_cache: a new id fetches, the same id does not until a day or half the age has gone") {
  MtaStsCache cache;
  cache.store("example.org", entry("1"));
  cache.store("short.example", entry("1", 2h));
  CHECK_FALSE(cache.should_fetch("example.org", "1", start + 23h));
  CHECK_FALSE(cache.should_fetch("example.org", "", start + 23h));
  CHECK(cache.should_fetch("example.org", "2", start + 1s));
  CHECK(cache.should_fetch("example.org", "1", start + 24h));
  CHECK(cache.should_fetch("example.org", "", start + 24h));
  CHECK_FALSE(cache.should_fetch("short.example", "1", start + 59min));
  CHECK(cache.should_fetch("short.example", "1", start + 1h));
  CHECK(cache.due(start + 2h - 1s, 10) == std::vector<std::string>{"short.example"});
  CHECK(cache.due(start + 25h, 10) == std::vector<std::string>{"example.org"});
}

TEST_CASE("mta_sts_cache: a failed fetch leaves the policy in force, and is not repeated for five minutes") {
  MtaStsCache cache;
  cache.store("example.org", entry("1"));
  cache.fetch_failed("example.org", "2", start + 10s);
  CHECK(cache.find("example.org", start + 20s));
  CHECK_FALSE(cache.should_fetch("example.org", "", start + 309s));
  CHECK(cache.should_fetch("example.org", "3", start + 11s));  // another policy
  CHECK_FALSE(cache.should_fetch("example.org", "2", start + 309s));
  CHECK(cache.should_fetch("example.org", "2", start + 310s));
  cache.store("example.org", entry("2", 240h, start + 20s));
  CHECK(cache.should_fetch("example.org", "3", start + 21s));
}

TEST_CASE("mta_sts_cache: a policy that ends at once ends what was in force, and is not fetched for each message") {
  MtaStsCache cache;
  cache.store("example.org", entry("1"));
  cache.store("example.org", entry("2", 0s, start + 1h));
  CHECK_FALSE(cache.find("example.org", start + 1h));
  CHECK_FALSE(cache.should_fetch("example.org", "2", start + 1h));
  CHECK(cache.should_fetch("example.org", "2", start + 1h + 5min));
  CHECK(cache.should_fetch("example.org", "3", start + 1h));
  CHECK(cache.expire(start + 1h) == std::vector<std::string>{"example.org"});
}

TEST_CASE("mta_sts_cache: what is expired goes, and says whose file can go") {
  MtaStsCache cache;
  cache.store("a.example", entry("1", 1h));
  cache.store("b.example", entry("1", 3h));
  CHECK(cache.expire(start + 2h) == std::vector<std::string>{"a.example"});
  CHECK(cache.size() == 1);
}

TEST_CASE("mta_sts_cache: a full cache drops what ends first") {
  MtaStsCache cache(2);
  cache.store("a.example", entry("1", 3h));
  cache.store("b.example", entry("1", 2h));
  cache.store("c.example", entry("1", 1h));
  CHECK(cache.size() == 2);
  CHECK_FALSE(cache.find("b.example", start));
  cache.store("a.example", entry("2", 3h));
  CHECK(cache.size() == 2);
  for (int i = 0; i < 10; ++i) cache.fetch_failed(std::to_string(i) + ".example", "1", start);
}

// A policy may have so many lines; each here is 160 octets long.
CachedPolicy long_entry(std::size_t lines) {
  const std::string label(50, 'x');
  CachedPolicy policy = entry("1");
  policy.policy.mx.resize(lines, label + "." + label + "." + label + ".example");
  return policy;
}

TEST_CASE("mta_sts_cache: what makes room is named, so that its file can go") {
  MtaStsCache cache(2);
  CHECK(cache.store("a.example", entry("1", 3h)).empty());
  CHECK(cache.store("b.example", entry("1", 2h)).empty());
  CHECK(cache.store("b.example", entry("2", 2h)).empty());
  CHECK(cache.store("c.example", entry("1", 1h)) == Domains{"b.example"});
}

TEST_CASE("mta_sts_cache: octets are bounded, and long policies make room before others do") {
  MtaStsCache cache(10000, 100'000);
  cache.store("honest.example", entry("1", 1h));
  for (int i = 0; i < 100; ++i) {
    const std::string domain = "long" + std::to_string(i) + ".example";
    const auto gone = cache.store(domain, long_entry(300));
    CHECK(gone.size() < 2);
    CHECK(cache.octets() <= 100'000);
    CHECK(cache.find(domain, start));
  }
  CHECK(cache.find("honest.example", start));
  for (int i = 0; i < 20; ++i) cache.store("short" + std::to_string(i) + ".example", entry("1"));
  CHECK(cache.find("honest.example", start));
  cache.store("huge.example", long_entry(10'000));  // more than all may have: it is in use now
  CHECK(cache.size() == 1);
  CHECK(cache.find("huge.example", start));
  CHECK(cache.expire(start + 240h) == Domains{"huge.example"});
  CHECK(cache.octets() == 0);
}

TEST_CASE("mta_sts_cache: an entry survives its file") {
  const Directory directory;
  const CachedPolicy before = entry("20260101");
  REQUIRE_FALSE(write_cached_policy(directory.path, "example.org", before));
  REQUIRE_FALSE(write_cached_policy(directory.path, "example.org", before));
  REQUIRE_FALSE(write_cached_policy(directory.path, "old.example", entry("1", 1s, start - 1h)));
  std::ofstream(directory.path + "/stray") << "x";

  MtaStsCache cache;
  CHECK_FALSE(read_cached_policies(directory.path, start, Keep::all, cache));
  CHECK(cache.size() == 1);
  REQUIRE(cache.find("example.org", start));
  CHECK(*cache.find("example.org", start) == before);
  CHECK_FALSE(remove_cached_policy(directory.path, "example.org"));
  CHECK_FALSE(remove_cached_policy(directory.path, "example.org"));
  MtaStsCache empty;
  CHECK_FALSE(read_cached_policies(directory.path, start, Keep::all, empty));
  CHECK_FALSE(read_cached_policies("/nonexistent", start, Keep::all, empty));
  CHECK(empty.size() == 0);
}

TEST_CASE("mta_sts_cache: a file that cannot be used is told of, stays, and keeps nobody else's from being read") {
  const Directory directory;
  REQUIRE_FALSE(write_cached_policy(directory.path, "example.org", entry("1")));
  // Root may read any file, so the test has one that nobody can.
  const std::string unreadable = directory.path + "/unreadable.example.mta-sts";
  std::filesystem::create_directory(unreadable);
  MtaStsCache cache;
  auto error = read_cached_policies(directory.path, start, Keep::useful, cache);
  REQUIRE(error);
  CHECK(error->message == "cannot read " + unreadable + ": not a regular file");
  CHECK(cache.find("example.org", start));

  std::ofstream(directory.path + "/damaged.example.mta-sts") << "postern-mta-sts 1\ndomain: other.example\n";
  error = read_cached_policies(directory.path, start, Keep::useful, cache);
  REQUIRE(error);
  CHECK(error->message.ends_with(" (and 1 more)"));
  CHECK(std::filesystem::exists(unreadable));

  const std::string file = directory.path + "/example.org.mta-sts";
  error = read_cached_policies(file, start, Keep::useful, cache);
  REQUIRE(error);
  CHECK(error->message == "cannot read " + file + ": Not a directory");
}

TEST_CASE("mta_sts_cache: what was written last is read first, and files for which there is no room go") {
  const Directory directory;
  const auto path = [&](int i) { return directory.path + "/d" + std::to_string(i) + ".example.mta-sts"; };
  for (int i = 0; i < 20; ++i) {
    REQUIRE_FALSE(write_cached_policy(directory.path, "d" + std::to_string(i) + ".example", entry("1")));
    // Neither in the order of their names nor of their making.
    std::filesystem::last_write_time(path(i), std::filesystem::file_time_type::clock::now() - 24h * (i * 7 % 20));
  }
  const auto all_there = [&] {
    for (int i = 0; i < 20; ++i) CHECK(std::filesystem::exists(path(i)));
  };
  for (const Keep keep : {Keep::all, Keep::useful}) {
    all_there();
    MtaStsCache cache(5);
    CHECK_FALSE(read_cached_policies(directory.path, start, keep, cache));
    CHECK(cache.size() == 5);
    for (int i = 0; i < 20; ++i) {
      CHECK((cache.find("d" + std::to_string(i) + ".example", start) != nullptr) == (i * 7 % 20 < 5));
    }
  }
  for (int i = 0; i < 20; ++i) CHECK(std::filesystem::exists(path(i)) == (i * 7 % 20 < 5));
}

TEST_CASE("mta_sts_cache: files of policies that are too old, or too long for the rest, go as well") {
  const Directory directory;
  REQUIRE_FALSE(write_cached_policy(directory.path, "old.example", entry("1", 1s, start - 1h)));
  REQUIRE_FALSE(write_cached_policy(directory.path, "long.example", long_entry(300)));
  REQUIRE_FALSE(write_cached_policy(directory.path, "longer.example", long_entry(350)));
  MtaStsCache cache(100, 100'000);
  CHECK_FALSE(read_cached_policies(directory.path, start, Keep::useful, cache));
  CHECK(cache.size() == 1);
  CHECK_FALSE(std::filesystem::exists(directory.path + "/old.example.mta-sts"));
  CHECK(std::filesystem::exists(directory.path + "/long.example.mta-sts") !=
        std::filesystem::exists(directory.path + "/longer.example.mta-sts"));
}

TEST_CASE(
    "mta_sts_cache: what a crash left half written goes when the files are tidied, as soon as it is an hour old") {
  const Directory directory;
  const auto half = [&](const char* number) { return directory.path + "/.postern-" + number; };
  for (const char* number : {"1", "2"}) REQUIRE_FALSE(postern::config::write_file(half(number), "postern-mta-sts 1\n"));
  std::filesystem::last_write_time(half("1"), std::filesystem::file_time_type::clock::now() - 61min);
  MtaStsCache cache;
  CHECK_FALSE(read_cached_policies(directory.path, start, Keep::all, cache));
  CHECK(std::filesystem::exists(half("1")));
  CHECK_FALSE(read_cached_policies(directory.path, start, Keep::useful, cache));
  CHECK_FALSE(std::filesystem::exists(half("1")));
  CHECK(std::filesystem::exists(half("2")));
}

TEST_CASE("mta_sts_cache: the directory is made with its first file, its parent is not") {
  const Directory directory;
  const std::string below = directory.path + "/ca-1";
  REQUIRE_FALSE(write_cached_policy(below, "example.org", entry("1")));
  CHECK(std::filesystem::status(below).permissions() == std::filesystem::perms::owner_all);
  const auto error = write_cached_policy(directory.path + "/a/b", "example.org", entry("1"));
  REQUIRE(error);
  CHECK(error->message == "cannot write " + directory.path + "/a/b/example.org.mta-sts: No such file or directory");
}

TEST_CASE("mta_sts_cache: a file from the future does not last longer than max_age from now") {
  const Directory directory;
  REQUIRE_FALSE(write_cached_policy(directory.path, "example.org", entry("1", 1h, start + 1000h)));
  MtaStsCache cache;
  CHECK_FALSE(read_cached_policies(directory.path, start, Keep::useful, cache));
  CHECK(cache.size() == 1);
  CHECK_FALSE(cache.find("example.org", start + 1h));
}

TEST_CASE("mta_sts_cache: no domain leads out of the directory, and one that cannot be made is an error") {
  const Directory directory;
  CHECK(write_cached_policy(directory.path, "../evil", entry("1")));
  CHECK(write_cached_policy(directory.path, "", entry("1")));
  CHECK(write_cached_policy("/nonexistent/directory", "example.org", entry("1")));
  CHECK(remove_cached_policy(directory.path, "../evil"));
}

TEST_CASE("mta_sts_cache: damaged files are refused at every cut") {
  const std::string text = print_cached_policy("example.org", entry("1"));
  REQUIRE(parse_cached_policy("example.org", text));
  CHECK_FALSE(parse_cached_policy("example.net", text));
  const std::size_t header_end = text.find("\n\n");
  for (std::size_t size = 0; size < header_end + 2; ++size)
    CHECK_FALSE(parse_cached_policy("example.org", text.substr(0, size)));
}

}  // namespace mta_sts_cache_test
