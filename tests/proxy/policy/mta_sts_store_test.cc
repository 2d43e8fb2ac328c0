#include "proxy/policy/mta_sts_store.h"

#include <filesystem>
#include <thread>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"

namespace mta_sts_store_test {

using namespace postern::policy;
using namespace std::chrono_literals;
using postern::test_support::TempDirectory;
using Domains = std::vector<std::string>;

const Time start = Time(1'800'000'000s);

CachedPolicy entry(std::string id, std::chrono::seconds max_age = 240h, Time fetched = start) {
  return {std::move(id), {MtaStsMode::enforce, max_age, {"mx.example.org"}}, fetched};
}

TEST_CASE("mta_sts_store: what one process has stored the next one knows, until it is too old") {
  const TempDirectory directory;
  {
    MtaStsStore store(directory.path(""), start);
    CHECK_FALSE(store.find("example.org", start));
    CHECK_FALSE(store.store("example.org", entry("1")).has_value());
  }
  const MtaStsStore store(directory.path(""), start + 1h);
  REQUIRE(store.find("example.org", start + 1h));
  CHECK(*store.find("example.org", start + 1h) == entry("1"));
  CHECK_FALSE(store.should_fetch("example.org", "1", start + 1h));
  CHECK(store.should_fetch("example.org", "2", start + 1h));
  CHECK_FALSE(MtaStsStore(directory.path(""), start + 240h).find("example.org", start + 240h));
}

TEST_CASE("mta_sts_store: without a directory it knows what it was told, and nobody after it does") {
  MtaStsStore store("", start);
  CHECK_FALSE(store.store("example.org", entry("1")).has_value());
  CHECK(store.find("example.org", start));
  store.expire(start + 240h);
  CHECK_FALSE(store.find("example.org", start));
}

TEST_CASE("mta_sts_store: what cannot be written is an error, and is known all the same") {
  MtaStsStore store("/nonexistent/directory", start);
  const auto error = store.store("example.org", entry("1"));
  REQUIRE(error.has_value());
  CHECK(error->code == postern::Errc::io);
  CHECK(store.find("example.org", start));
}

TEST_CASE("mta_sts_store: a policy that is too old goes, and its file") {
  const TempDirectory directory;
  MtaStsStore store(directory.path(""), start);
  (void)store.store("short.example", entry("1", 1h));
  (void)store.store("long.example", entry("1", 48h));
  store.expire(start + 1h);
  CHECK_FALSE(std::filesystem::exists(directory.path("short.example.mta-sts")));
  CHECK(std::filesystem::exists(directory.path("long.example.mta-sts")));
  CHECK(store.find("long.example", start + 1h));
}

TEST_CASE("mta_sts_store: the trouble with a fetch is remembered until one succeeds") {
  MtaStsStore store("", start);
  CHECK_FALSE(store.trouble("example.org"));
  store.fetch_failed("example.org", ReportResult::sts_webpki_invalid, start);
  CHECK(store.trouble("example.org") == ReportResult::sts_webpki_invalid);
  CHECK_FALSE(store.should_fetch("example.org", "1", start + 5min - 1s));
  CHECK(store.should_fetch("example.org", "1", start + 5min));
  store.fetch_failed("example.org", ReportResult::sts_policy_invalid, start + 5min);
  CHECK(store.trouble("example.org") == ReportResult::sts_policy_invalid);
  (void)store.store("example.org", entry("1"));
  CHECK_FALSE(store.trouble("example.org"));
}

TEST_CASE("mta_sts_store: what is due is given to one worker, and again if that came to nothing") {
  MtaStsStore store("", start);
  for (const std::string domain : {"a.example", "b.example", "c.example"}) (void)store.store(domain, entry("1"));
  CHECK(store.take_due(start + 23h, 10).empty());
  const Time now = start + 24h;
  CHECK(store.take_due(now, 2) == Domains{"a.example", "b.example"});
  CHECK(store.take_due(now, 2) == Domains{"c.example"});
  CHECK(store.take_due(now + 5min - 1s, 2).empty());
  (void)store.store("a.example", entry("2", 240h, now));
  store.fetch_failed("b.example", ReportResult::sts_policy_fetch_error, now + 1min);
  CHECK(store.take_due(now + 5min, 10) == Domains{"c.example"});
  CHECK(store.take_due(now + 6min, 10) == Domains{"b.example"});
}

TEST_CASE("mta_sts_store: workers may use it at the same time") {
  const TempDirectory directory;
  MtaStsStore store(directory.path(""), start);
  const auto work = [&store](const std::string& own) {
    for (int i = 0; i < 20; ++i) {
      (void)store.store(own, entry(std::to_string(i)));
      (void)store.store("shared.example", entry("1"));
      store.fetch_failed("failing.example", ReportResult::sts_policy_fetch_error, start);
      (void)store.trouble("failing.example");
      (void)store.take_due(start + 24h, 1);
      store.expire(start);
    }
  };
  std::thread other([&] { work("b.example"); });
  work("a.example");
  other.join();
  const MtaStsStore next(directory.path(""), start);
  for (const std::string domain : {"a.example", "b.example", "shared.example"}) CHECK(next.find(domain, start));
}

}  // namespace mta_sts_store_test
