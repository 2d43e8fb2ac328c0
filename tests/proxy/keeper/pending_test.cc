#include "proxy/keeper/pending.h"

#include "tests/support/catch.h"
#include "tests/support/certificates.h"

namespace pending_test {

using namespace postern;
using namespace postern::keeper;
using test_support::TestCertificate;

const TestCertificate& made(int number) {
  static const std::vector<TestCertificate> all = {
      test_support::make_certificate({}), test_support::make_certificate({}), test_support::make_certificate({})};
  return all.at(static_cast<std::size_t>(number));
}
std::string chain(int number) {
  return made(number).certificate_pem();
}
std::string key(int number) {
  return made(number).key_pem();
}

config::File file(std::string content) {
  return {std::move(content), false, false};
}

// Two certificates and a list of CAs, all of them served.
struct Rig {
  config::Loaded loaded;
  config::Files present;
  Pending pending;

  Rig() {
    loaded.settings.certificates["mx"] = {{"mx.pem", "mx.key"}};
    loaded.settings.certificates["www"] = {{"www.pem", "www.key"}};
    for (const char* name : {"mx", "www"}) {
      present.put(std::string(name) + ".pem", file(chain(0)));
      present.put(std::string(name) + ".key", file(key(0)));
    }
    present.put("ca", file("CA"));
    begin();
  }
  void begin() { pending.begin(loaded, digests_of(present)); }
  void put(const std::string& path, const Result<config::File>& content, Pending::Time now = 0) {
    config::Files changed;
    changed.put(path, content);
    pending.put(changed, now);
  }
  void put(const std::string& path, std::string content, Pending::Time now = 0) {
    put(path, Result<config::File>(file(std::move(content))), now);
  }
  // What is to be tried, by path.
  std::vector<std::string> taken(Pending::Time now = 0) {
    std::vector<std::string> paths;
    if (const auto files = pending.take(present, now)) {
      for (const auto& [path, content] : files->by_path()) paths.push_back(path);
    }
    return paths;
  }
  const CertificateState& state(const char* name) const { return pending.certificates().at(name); }
  std::uint64_t failures(const char* name, RenewalFailure reason) const {
    return state(name).failures.at(static_cast<std::size_t>(reason));
  }
};

using Paths = std::vector<std::string>;

TEST_CASE("pending: a chain and its key are taken over together, whichever of them comes first") {
  Rig rig;
  const bool chain_first = GENERATE(true, false);
  rig.put(chain_first ? "mx.pem" : "mx.key", chain_first ? chain(1) : key(1));
  CHECK(rig.taken().empty());
  CHECK(rig.failures("mx", RenewalFailure::mismatch) == 1);
  CHECK(rig.state("mx").differs_from_disk);
  CHECK(rig.state("mx").why.starts_with("mismatch: "));
  CHECK(rig.pending.troubled());
  rig.put(chain_first ? "mx.key" : "mx.pem", chain_first ? key(1) : chain(1), 300);
  CHECK(rig.pending.wanted(300) == Pending::Paths{"mx.key", "mx.pem"});  // the first was let go of
  rig.put("mx.pem", chain(1), 300);
  rig.put("mx.key", key(1), 300);
  CHECK(rig.taken(300) == Paths{"mx.key", "mx.pem"});
  CHECK(rig.state("mx").differs_from_disk);
  rig.pending.served(300);
  CHECK_FALSE(rig.state("mx").differs_from_disk);
  CHECK(rig.state("mx").why.empty());
  CHECK_FALSE(rig.pending.troubled());
  CHECK_FALSE(rig.pending.due());
}

TEST_CASE("pending: a new chain for the same key needs no other") {
  Rig rig;
  const auto renewed = test_support::make_certificate({.existing_key = made(0).key});
  rig.put("mx.pem", renewed.certificate_pem());
  CHECK(rig.taken() == Paths{"mx.pem"});
}

TEST_CASE("pending: what is wrong with one certificate keeps neither another nor anything else from being taken over") {
  Rig rig;
  rig.put("mx.pem", "nonsense");
  rig.put("www.pem", chain(1));
  rig.put("www.key", key(1));
  rig.put("ca", "more CAs");
  CHECK(rig.taken() == Paths{"ca", "www.key", "www.pem"});
  CHECK(rig.failures("mx", RenewalFailure::malformed) == 1);
  CHECK_FALSE(rig.pending.certificates().at("www").failures[1]);
  rig.pending.served(0);
  CHECK(rig.state("mx").differs_from_disk);
  CHECK_FALSE(rig.state("www").differs_from_disk);
}

TEST_CASE("pending: what fails is tried again after 1, 2, 4 … 60 s, and told once for each reason") {
  Rig rig;
  rig.put("mx.key", fail(Errc::not_found, "gone"));
  Pending::Time now = 0;
  std::vector<Pending::Time> pauses;
  for (int times = 0; times < 9; ++times) {
    CHECK(rig.taken(now).empty());
    CHECK(rig.pending.news().size() == (times == 0 ? 1 : 0));
    REQUIRE(rig.pending.due());
    pauses.push_back((*rig.pending.due() - now) / 1000);
    CHECK(rig.pending.wanted(*rig.pending.due() - 1).empty());
    now = *rig.pending.due();
    CHECK(rig.pending.wanted(now) == Pending::Paths{"mx.key", "mx.pem"});
    rig.put("mx.key", fail(Errc::not_found, "gone"), now);
    CHECK(rig.pending.due() == now);
  }
  CHECK(pauses == std::vector<Pending::Time>{1, 2, 4, 8, 16, 32, 60, 60, 60});
  CHECK(rig.failures("mx", RenewalFailure::unreadable) == 9);
  rig.put("mx.key", key(1), now);
  CHECK(rig.taken(now).empty());
  const auto news = rig.pending.news();
  REQUIRE(news.size() == 1);
  CHECK(news[0].certificates == "mx");
  CHECK(news[0].reason == RenewalFailure::mismatch);
  CHECK(rig.pending.due() == now + 1000);
}

TEST_CASE("pending: what is on disk again as it is served is no trouble any more") {
  Rig rig;
  rig.put("mx.key", key(1));
  CHECK(rig.taken().empty());
  CHECK(rig.pending.troubled());
  rig.put("mx.key", key(0), 100);
  CHECK_FALSE(rig.pending.troubled());
  CHECK_FALSE(rig.state("mx").differs_from_disk);
  CHECK_FALSE(rig.pending.due());
  CHECK(rig.taken(100'000).empty());
}

TEST_CASE("pending: what is refused together is tried by itself, so that only what is to blame waits") {
  Rig rig;
  const auto put = [&](Pending::Time now) {
    rig.put("ca", "bad", now);
    rig.put("www.pem", chain(1), now);
    rig.put("www.key", key(1), now);
  };
  put(0);
  CHECK(rig.taken() == Paths{"ca", "www.key", "www.pem"});
  rig.pending.failed(RenewalFailure::refused, "no", false, 0);
  CHECK(rig.pending.news().empty());
  CHECK(rig.pending.due() == 0);
  CHECK(rig.pending.wanted(0) == Pending::Paths{"ca", "www.key", "www.pem"});
  put(0);
  CHECK(rig.taken() == Paths{"www.key", "www.pem"});
  rig.pending.served(0);
  CHECK(rig.taken() == Paths{"ca"});
  rig.pending.failed(RenewalFailure::refused, "no", false, 0);
  CHECK(rig.pending.news().size() == 1);
  CHECK(rig.pending.due() == 1000);
  CHECK(rig.taken(999).empty());
}

TEST_CASE("pending: what two gateways have died over is not tried before it changes") {
  Rig rig;
  for (int times = 0; times < 2; ++times) {
    rig.put("ca", "deadly", 10'000);
    CHECK(rig.taken(10'000) == Paths{"ca"});
    rig.pending.failed(RenewalFailure::refused, "lost", true, 0);
  }
  CHECK_FALSE(rig.pending.due());
  rig.put("ca", "deadly", 100'000);
  CHECK(rig.taken(100'000).empty());
  CHECK(rig.pending.troubled());
  rig.put("ca", "harmless", 100'000);
  CHECK(rig.taken(100'000) == Paths{"ca"});
}

TEST_CASE("pending: what changes while it is tried is tried next") {
  Rig rig;
  rig.put("ca", "two");
  CHECK(rig.taken() == Paths{"ca"});
  rig.put("ca", "three", 10);
  SECTION("and the first was good") {
    rig.pending.served(20);
  }
  SECTION("and the first was not") {
    rig.pending.failed(RenewalFailure::refused, "no", false, 20);
  }
  CHECK(rig.taken(20) == Paths{"ca"});
  rig.pending.served(30);
  CHECK_FALSE(rig.pending.due());
}

TEST_CASE("pending: pairs that share a file belong together") {
  Rig rig;
  rig.loaded.settings.certificates["other"] = {{"other.pem", "mx.key"}};
  rig.present.put("other.pem", file(chain(0)));
  rig.begin();
  rig.put("mx.key", key(1));
  rig.put("mx.pem", chain(1));
  CHECK(rig.taken().empty());
  CHECK(rig.failures("mx", RenewalFailure::mismatch) == 1);
  CHECK(rig.failures("other", RenewalFailure::mismatch) == 1);
  CHECK(rig.pending.news().at(0).certificates == "mx, other");
  rig.put("mx.key", key(1));
  rig.put("mx.pem", chain(1));
  rig.put("other.pem", chain(1));
  CHECK(rig.taken() == Paths{"mx.key", "mx.pem", "other.pem"});
}

TEST_CASE("pending: what was counted of a certificate outlives another configuration, as long as that has it") {
  Rig rig;
  rig.put("mx.key", key(1));
  CHECK(rig.taken().empty());
  rig.begin();
  CHECK(rig.failures("mx", RenewalFailure::mismatch) == 1);
  CHECK_FALSE(rig.state("mx").differs_from_disk);
  rig.loaded.settings.certificates.erase("mx");
  rig.begin();
  CHECK_FALSE(rig.pending.certificates().contains("mx"));
}

}  // namespace pending_test
