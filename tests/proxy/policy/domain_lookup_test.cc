#include "proxy/policy/domain_lookup.h"

#include "tests/support/catch.h"
#include "tests/support/fake_resolver.h"

namespace domain_lookup_test {

using namespace postern;
using namespace postern::policy;
using testing::FakeResolver;

class FakeMtaSts final : public MtaStsSource {
 public:
  std::unique_ptr<dns::Lookup> lookup(const std::string& domain, Callback callback) override {
    asked.push_back(domain);
    pending = std::move(callback);
    return std::make_unique<Cancel>(*this);
  }
  std::vector<std::string> asked;
  Callback pending;

 private:
  struct Cancel final : dns::Lookup {
    explicit Cancel(FakeMtaSts& owner) : source(owner) {}
    ~Cancel() override { source.pending = nullptr; }
    FakeMtaSts& source;
  };
};

RouteLookup::Options options() {
  RouteLookup::Options result;
  result.dane = false;
  return result;
}

void give_mx(FakeResolver& resolver) {
  resolver.set({"example.org", dns::Type::mx}, testing::exists(false, {testing::mx_rdata(10, "mx.example.org")}));
  resolver.set({"mx.example.org", dns::Type::a}, testing::exists(false, {std::string("\xc0\x00\x02\x01", 4)}));
  resolver.set({"mx.example.org", dns::Type::aaaa}, testing::without_records(dns::Status::no_data, false));
}

TEST_CASE("domain_lookup: the answer comes once, when DNS and MTA-STS have both been heard") {
  FakeResolver resolver;
  FakeMtaSts mta_sts;
  give_mx(resolver);
  int calls = 0;
  DomainFacts facts;
  DomainLookup lookup(resolver, &mta_sts, "example.org", options(), [&](DomainFacts found) {
    ++calls;
    facts = std::move(found);
  });
  CHECK(mta_sts.asked == std::vector<std::string>{"example.org"});
  CHECK_FALSE(lookup.complete());
  resolver.deliver();
  CHECK(calls == 0);
  mta_sts.pending({MtaStsPolicy{MtaStsMode::enforce, std::chrono::seconds(60), {"mx.example.org"}}, std::nullopt});
  REQUIRE(calls == 1);
  REQUIRE(facts.route.hosts.size() == 1);
  CHECK(facts.route.hosts[0].addresses.size() == 1);
  CHECK(facts.mta_sts.policy.has_value());
}

TEST_CASE("domain_lookup: without MTA-STS, DNS alone decides, and the callback may destroy the lookup") {
  FakeResolver resolver;
  give_mx(resolver);
  std::unique_ptr<DomainLookup> lookup;
  bool called = false;
  lookup = std::make_unique<DomainLookup>(resolver, nullptr, "example.org", options(), [&](DomainFacts) {
    called = true;
    lookup.reset();
  });
  resolver.deliver();
  CHECK(called);
  CHECK(lookup == nullptr);
}

TEST_CASE("domain_lookup: destroying it cancels what is under way") {
  FakeResolver resolver;
  FakeMtaSts mta_sts;
  give_mx(resolver);
  auto lookup =
      std::make_unique<DomainLookup>(resolver, &mta_sts, "example.org", options(), [](DomainFacts) { FAIL("called"); });
  lookup.reset();
  CHECK_FALSE(mta_sts.pending);
  resolver.deliver();
}

TEST_CASE("domain_lookup: what is no host name has its answer at once, and nobody is asked") {
  FakeResolver resolver;
  FakeMtaSts mta_sts;
  DomainLookup lookup(resolver, &mta_sts, "[192.0.2.1]", options(), [](DomainFacts) { FAIL("called"); });
  REQUIRE(lookup.complete());
  CHECK(lookup.take().route.outcome == Route::Outcome::no_such_domain);
  CHECK(resolver.asked.empty());
  CHECK(mta_sts.asked.empty());
}

}  // namespace domain_lookup_test
