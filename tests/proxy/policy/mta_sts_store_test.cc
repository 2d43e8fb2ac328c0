#include "proxy/policy/mta_sts_store.h"

#include <filesystem>
#include <mutex>
#include <thread>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"

namespace mta_sts_store_test {

using namespace postern::policy;
using namespace std::chrono_literals;
using postern::test_support::TempDirectory;
using Access = MtaStsStore::Access;
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
    store.store("example.org", entry("1"));
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
  store.store("example.org", entry("1"));
  store.flush();
  CHECK(store.find("example.org", start));
  store.expire(start + 240h);
  CHECK_FALSE(store.find("example.org", start));
}

struct Complaints {
  std::vector<std::string> messages;
  MtaStsStore::Complain take() {
    return [this](const postern::Error& error) { messages.push_back(error.message); };
  }
};

TEST_CASE("mta_sts_store: what cannot be written is told, and is known all the same") {
  Complaints complaints;
  MtaStsStore store("/nonexistent/directory", start, Access::read_write, complaints.take());
  CHECK(complaints.messages.empty());
  store.store("example.org", entry("1"));
  store.flush();
  CHECK(complaints.messages ==
        std::vector<std::string>{"cannot write /nonexistent/directory/example.org.mta-sts: No such file or directory"});
  CHECK(store.find("example.org", start));
}

TEST_CASE("mta_sts_store: a file that cannot be read is told of at once") {
  const TempDirectory directory;
  std::filesystem::create_directory(directory.path("example.org.mta-sts"));
  Complaints complaints;
  const MtaStsStore store(directory.path("."), start, Access::read_write, complaints.take());
  CHECK(complaints.messages ==
        std::vector<std::string>{"cannot read " + directory.path("./example.org.mta-sts") + ": not a regular file"});
}

TEST_CASE("mta_sts_store: for a reader files stay as they are, whatever it learns") {
  const TempDirectory directory;
  MtaStsStore(directory.path(""), start).store("kept.example", entry("1"));
  MtaStsStore(directory.path(""), start).store("old.example", entry("1", 1h));
  {
    MtaStsStore reader(directory.path(""), start + 1h, Access::read_only);
    CHECK(reader.find("kept.example", start + 1h));
    reader.store("kept.example", entry("2"));
    reader.store("new.example", entry("2"));
    CHECK(reader.find("kept.example", start + 1h)->id == "2");
    CHECK(reader.find("new.example", start + 1h));
    reader.expire(start + 480h);
    CHECK_FALSE(reader.find("kept.example", start + 1h));
  }
  CHECK(std::filesystem::exists(directory.path("old.example.mta-sts")));
  CHECK_FALSE(std::filesystem::exists(directory.path("new.example.mta-sts")));
  CHECK(MtaStsStore(directory.path(""), start).find("kept.example", start)->id == "1");
}

TEST_CASE("mta_sts_store: whoever stores or forgets does not wait for the disk") {
  const TempDirectory directory;
  std::mutex disk;
  std::unique_lock slow(disk);
  std::vector<std::string> told;
  {
    // What is complained of is what the thread is at: here it stands as long as the test wants.
    MtaStsStore store(directory.path("missing/too"), start, Access::read_write, [&](const postern::Error& error) {
      const std::scoped_lock wait(disk);
      told.push_back(error.message);
    });
    for (int i = 0; i < 100; ++i) {
      store.store("a.example", entry(std::to_string(i), 1h));
      store.store("b.example", entry(std::to_string(i), 2h));
      CHECK(store.find("b.example", start)->id == std::to_string(i));
    }
    std::filesystem::create_directory(directory.path("missing"));
    store.store("b.example", entry("last", 2h));  // what was tried too early is not tried again by itself
    store.expire(start + 1h);
    CHECK_FALSE(store.find("a.example", start));
    slow.unlock();
  }
  CHECK(told.size() <= 1);
  // Only what was so in the end is on disk, and it is.
  CHECK_FALSE(std::filesystem::exists(directory.path("missing/too/a.example.mta-sts")));
  CHECK(MtaStsStore(directory.path("missing/too"), start).find("b.example", start)->id == "last");
}

TEST_CASE("mta_sts_store: a policy that has to make room goes, and its file") {
  const TempDirectory directory;
  MtaStsStore store(directory.path(""), start);
  CachedPolicy huge = entry("1");
  huge.policy.mx = {std::string(10U << 20U, 'x')};  // two of them are more than a store holds
  store.store("first.example", huge);
  store.flush();
  CHECK(std::filesystem::exists(directory.path("first.example.mta-sts")));
  store.store("second.example", huge);
  store.flush();
  CHECK_FALSE(std::filesystem::exists(directory.path("first.example.mta-sts")));
  CHECK(std::filesystem::exists(directory.path("second.example.mta-sts")));
}

TEST_CASE("mta_sts_store: a policy that is too old goes, and its file") {
  const TempDirectory directory;
  MtaStsStore store(directory.path(""), start);
  store.store("short.example", entry("1", 1h));
  store.store("long.example", entry("1", 48h));
  store.expire(start + 1h);
  store.flush();
  CHECK_FALSE(std::filesystem::exists(directory.path("short.example.mta-sts")));
  CHECK(std::filesystem::exists(directory.path("long.example.mta-sts")));
  CHECK(store.find("long.example", start + 1h));
}

TEST_CASE("mta_sts_store: the trouble with a fetch is remembered until one succeeds") {
  MtaStsStore store("", start);
  CHECK_FALSE(store.trouble("example.org"));
  store.fetch_failed("example.org", "1", {ReportResult::sts_webpki_invalid, "why"}, start);
  CHECK(store.trouble("example.org")->result == ReportResult::sts_webpki_invalid);
  CHECK(store.trouble("example.org")->reason == "why");
  CHECK_FALSE(store.should_fetch("example.org", "1", start + 5min - 1s));
  CHECK(store.should_fetch("example.org", "1", start + 5min));
  store.fetch_failed("example.org", "1", {ReportResult::sts_policy_invalid, ""}, start + 5min);
  CHECK(store.trouble("example.org")->result == ReportResult::sts_policy_invalid);
  store.store("example.org", entry("1"));
  CHECK_FALSE(store.trouble("example.org"));
}

TEST_CASE("mta_sts_store: what is due is given to one worker, and again if that came to nothing") {
  MtaStsStore store("", start);
  for (const std::string domain : {"a.example", "b.example", "c.example"}) store.store(domain, entry("1"));
  CHECK(store.take_due(start + 23h, 10).empty());
  const Time now = start + 24h;
  CHECK(store.take_due(now, 2) == Domains{"a.example", "b.example"});
  CHECK(store.take_due(now, 2) == Domains{"c.example"});
  CHECK(store.take_due(now + 5min - 1s, 2).empty());
  store.store("a.example", entry("2", 240h, now));
  store.fetch_failed("b.example", "1", {ReportResult::sts_policy_fetch_error, ""}, now + 1min);
  CHECK(store.take_due(now + 5min, 10) == Domains{"c.example"});
  CHECK(store.take_due(now + 6min, 10) == Domains{"b.example"});
}

TEST_CASE("mta_sts_store: workers may use it at the same time") {
  const TempDirectory directory;
  MtaStsStore store(directory.path(""), start);
  const auto work = [&store](const std::string& own) {
    for (int i = 0; i < 20; ++i) {
      store.store(own, entry(std::to_string(i)));
      store.store("shared.example", entry("1"));
      store.fetch_failed("failing.example", "1", {ReportResult::sts_policy_fetch_error, ""}, start);
      (void)store.trouble("failing.example");
      (void)store.take_due(start + 24h, 1);
      store.expire(start);
      if (i % 5 == 0) store.flush();
    }
  };
  std::thread other([&] { work("b.example"); });
  work("a.example");
  other.join();
  store.flush();
  const MtaStsStore next(directory.path(""), start);
  for (const std::string domain : {"a.example", "b.example", "shared.example"}) CHECK(next.find(domain, start));
}

}  // namespace mta_sts_store_test
