#include "proxy/policy/mta_sts_cache.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/catch.h"

namespace mta_sts_cache_test {

using namespace postern::policy;
using namespace std::chrono_literals;

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
  cache.fetch_failed("example.org", start + 10s);
  CHECK(cache.find("example.org", start + 20s));
  CHECK_FALSE(cache.should_fetch("example.org", "2", start + 309s));
  CHECK(cache.should_fetch("example.org", "2", start + 310s));
  cache.store("example.org", entry("2", 240h, start + 20s));
  CHECK(cache.should_fetch("example.org", "3", start + 21s));
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
  for (int i = 0; i < 10; ++i) cache.fetch_failed(std::to_string(i) + ".example", start);
}

TEST_CASE("mta_sts_cache: an entry survives its file") {
  const Directory directory;
  const CachedPolicy before = entry("20260101");
  REQUIRE_FALSE(write_cached_policy(directory.path, "example.org", before));
  REQUIRE_FALSE(write_cached_policy(directory.path, "example.org", before));
  REQUIRE_FALSE(write_cached_policy(directory.path, "old.example", entry("1", 1s, start - 1h)));
  std::ofstream(directory.path + "/damaged.example.mta-sts") << "postern-mta-sts 1\ndomain: other.example\n";
  std::ofstream(directory.path + "/stray") << "x";

  MtaStsCache cache;
  CHECK(read_cached_policies(directory.path, start, 100, cache) == 1);
  REQUIRE(cache.find("example.org", start));
  CHECK(*cache.find("example.org", start) == before);
  remove_cached_policy(directory.path, "example.org");
  MtaStsCache empty;
  CHECK(read_cached_policies(directory.path, start, 100, empty) == 0);
  CHECK(read_cached_policies("/nonexistent", start, 100, empty) == 0);
}

TEST_CASE("mta_sts_cache: a file from the future does not last longer than max_age from now") {
  const Directory directory;
  REQUIRE_FALSE(write_cached_policy(directory.path, "example.org", entry("1", 1h, start + 1000h)));
  MtaStsCache cache;
  CHECK(read_cached_policies(directory.path, start, 100, cache) == 1);
  CHECK_FALSE(cache.find("example.org", start + 1h));
}

TEST_CASE("mta_sts_cache: no domain leads out of the directory, and a missing directory is an error") {
  const Directory directory;
  CHECK(write_cached_policy(directory.path, "../evil", entry("1")));
  CHECK(write_cached_policy(directory.path, "", entry("1")));
  CHECK(write_cached_policy("/nonexistent", "example.org", entry("1")));
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
