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

DomainQuery query(std::string name, bool mta_sts = false) {
  return {std::move(name), options(), mta_sts};
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
  DomainLookup lookup(resolver, &mta_sts, query("example.org", true), [&](DomainFacts found) {
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
  lookup = std::make_unique<DomainLookup>(resolver, nullptr, query("example.org"), [&](DomainFacts) {
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
  auto lookup = std::make_unique<DomainLookup>(resolver, &mta_sts, query("example.org", true),
                                               [](DomainFacts) { FAIL("called"); });
  lookup.reset();
  CHECK_FALSE(mta_sts.pending);
  resolver.deliver();
}

TEST_CASE("domain_lookup: whether there is an MTA-STS policy must have been asked, or the message waits") {
  const auto outcome = [](const MtaStsFacts& told, dns::Status mx = dns::Status::exists) {
    FakeResolver resolver;
    FakeMtaSts mta_sts;
    give_mx(resolver);
    if (mx != dns::Status::exists) resolver.set({"example.org", dns::Type::mx}, testing::without_records(mx, false));
    std::optional<DomainFacts> facts;
    const DomainLookup lookup(resolver, &mta_sts, query("example.org", true),
                              [&](DomainFacts found) { facts = std::move(found); });
    resolver.deliver();
    mta_sts.pending(told);
    REQUIRE(facts);
    return facts->route;
  };
  MtaStsFacts unasked;
  unasked.unasked = true;
  unasked.remark = "the resolver has ended";
  const Route waits = outcome(unasked);
  CHECK(waits.outcome == Route::Outcome::dns_failed);
  CHECK(waits.hosts.empty());
  CHECK(waits.reason == "MTA-STS lookup: the resolver has ended");
  CHECK(outcome({}).outcome == Route::Outcome::hosts);
  CHECK(outcome(unasked, dns::Status::no_such_name).outcome == Route::Outcome::no_such_domain);
  unasked.policy = MtaStsPolicy{MtaStsMode::enforce, std::chrono::seconds(60), {"mx.example.org"}};
  CHECK(outcome(unasked).outcome == Route::Outcome::hosts);
}

// Two resolvers, and a watch over what the one that proves is fit for.
struct Pair {
  DomainFacts look_up(bool observe = false) {
    RouteLookup::Options wanted;
    wanted.observe = observe;
    std::optional<DomainFacts> found;
    const DomainLookup lookup(resolvers, nullptr, {"example.org", wanted},
                              [&found](DomainFacts facts) { found = std::move(facts); });
    CHECK_FALSE(lookup.complete());
    for (int i = 0; i < 3 && !found; ++i) turn();
    REQUIRE(found);
    return *found;
  }
  void turn() {
    for (FakeResolver* each : {&fresh, &proves, &believes}) each->deliver();
    for (const auto& task : std::exchange(tasks, {})) task();
  }
  void keys(bool secure) { fresh.set({{}, dns::Type::dnskey}, testing::exists(secure, {"key"})); }

  struct Borrowed final : dns::Resolver {
    explicit Borrowed(FakeResolver& from) : lender(from) {}
    std::unique_ptr<dns::Lookup> lookup(const dns::Question& question, Callback callback) override {
      return lender.lookup(question, std::move(callback));
    }
    FakeResolver& lender;
  };

  FakeResolver fresh, proves, believes;
  std::vector<std::function<void()>> tasks;
  std::shared_ptr<dns::FitnessState> state = std::make_shared<dns::FitnessState>();
  dns::FitnessWatch watch{
      state,
      {{}, dns::Type::dnskey},
      {[this] { return std::make_unique<Borrowed>(fresh); },
       [this](std::function<void()> task) { tasks.push_back(std::move(task)); }, [](const auto&) {}}};
  dns::Resolvers resolvers{proves, believes, watch};
};

dns::Answer bogus() {
  return testing::without_records(dns::Status::bogus, false);
}

TEST_CASE("domain_lookup: it waits until it is known what the name servers are fit for, and asks whom that suggests") {
  Pair unfit;
  unfit.keys(false);
  unfit.proves.set({"example.org", dns::Type::mx}, bogus());
  give_mx(unfit.believes);
  const auto found = unfit.look_up();
  REQUIRE(found.route.hosts.size() == 1);
  CHECK(found.route.hosts[0].dane == DaneState::unknowable);
  CHECK_FALSE(found.route.hosts[0].reason.empty());
  CHECK(unfit.proves.asked.empty());

  Pair fit;
  fit.keys(true);
  give_mx(fit.proves);
  CHECK(fit.look_up().route.hosts[0].dane == DaneState::not_applicable);
  CHECK(fit.believes.asked.empty());

  Pair silent;  // who says nothing about the keys may still know the domain
  give_mx(silent.believes);
  CHECK(silent.look_up().route.hosts[0].dane == DaneState::unknowable);
  CHECK(silent.watch.now() == dns::Fitness::unfit);
}

TEST_CASE("domain_lookup: where the question for the keys has reached nobody, answers are to be proven") {
  Pair pair;
  dns::Answer unasked = dns::failure("the resolver has ended");
  unasked.unasked = true;
  pair.fresh.set({{}, dns::Type::dnskey}, unasked);
  pair.proves.set({"example.org", dns::Type::mx}, bogus());
  give_mx(pair.believes);
  CHECK(pair.look_up().route.outcome == Route::Outcome::dns_bogus);
  CHECK(pair.believes.asked.empty());
  CHECK(pair.watch.now() == dns::Fitness::unknown);
}

TEST_CASE("domain_lookup: a server that was fit and is no longer is not believed where DANE may have a say") {
  Pair pair;
  pair.state->note({dns::KeysFound::Result::had, {}});
  pair.state->note({dns::KeysFound::Result::withheld, "gone"});
  pair.proves.set({"example.org", dns::Type::mx}, bogus());
  give_mx(pair.believes);
  CHECK(pair.look_up().route.outcome == Route::Outcome::dns_bogus);
  std::optional<DomainFacts> found;
  const DomainLookup lookup(pair.resolvers, nullptr, query("example.org"),
                            [&found](DomainFacts facts) { found = std::move(facts); });
  pair.turn();
  REQUIRE(found);
  CHECK(leads_somewhere(found->route));
}

TEST_CASE("domain_lookup: who only observes takes the answer without a proof, and knows what was wrong") {
  Pair pair;
  pair.state->note({dns::KeysFound::Result::had, {}});
  pair.proves.set({"example.org", dns::Type::mx}, bogus());
  give_mx(pair.believes);
  CHECK(pair.look_up().route.outcome == Route::Outcome::dns_bogus);
  CHECK(pair.believes.asked.empty());
  const auto found = pair.look_up(true);
  REQUIRE(leads_somewhere(found.route));
  CHECK(found.route.hosts[0].dane == DaneState::bogus);

  // But nobody's mail bounces on that account.
  pair.believes.set({"example.org", dns::Type::mx}, testing::without_records(dns::Status::no_such_name, false));
  CHECK(pair.look_up(true).route.outcome == Route::Outcome::dns_bogus);
  pair.proves.set({"example.org", dns::Type::mx}, testing::without_records(dns::Status::no_such_name, true));
  pair.believes.asked.clear();
  CHECK(pair.look_up(true).route.outcome == Route::Outcome::no_such_domain);
  CHECK(pair.believes.asked.empty());
}

TEST_CASE("domain_lookup: what is no host name has its answer at once, and nobody is asked") {
  FakeResolver resolver;
  FakeMtaSts mta_sts;
  DomainLookup lookup(resolver, &mta_sts, query("[192.0.2.1]", true), [](DomainFacts) { FAIL("called"); });
  REQUIRE(lookup.complete());
  CHECK(lookup.take().route.outcome == Route::Outcome::no_such_domain);
  CHECK(resolver.asked.empty());
  CHECK(mta_sts.asked.empty());
}

}  // namespace domain_lookup_test
