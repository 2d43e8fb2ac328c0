#include "proxy/dns/fitness.h"

#include "proxy/dns/fitness_watch.h"
#include "tests/support/catch.h"
#include "tests/support/fake_resolver.h"

namespace fitness_test {

using namespace postern;
using namespace postern::dns;
using Found = KeysFound::Result;

const Question keys{{}, Type::dnskey};

Answer bogus() {
  Answer answer = failure("no signatures");
  answer.status = Status::bogus;
  return answer;
}

TEST_CASE("fitness: keys that are proven were had, all else was withheld, and silence is silence") {
  CHECK(keys_found(testing::exists(true, {"key"})).result == Found::had);
  CHECK(keys_found(testing::exists(false, {"key"})).result == Found::withheld);
  CHECK(keys_found(testing::without_records(Status::no_data, false)).result == Found::withheld);
  CHECK(keys_found(testing::without_records(Status::no_such_name, true)).result == Found::withheld);
  CHECK(keys_found(bogus()).result == Found::withheld);
  CHECK(keys_found(bogus()).reason == "no signatures");
  CHECK(keys_found(failure("no answer in time")).result == Found::silence);
}

TEST_CASE("fitness: unfit is who never was fit; who was and is no longer is lost") {
  FitnessState state;
  CHECK(state.now() == Fitness::unknown);
  CHECK(state.note({Found::withheld, "why"})->reason == "why");
  CHECK(state.now() == Fitness::unfit);
  CHECK_FALSE(state.note({Found::withheld, "why"}));  // said once
  CHECK_FALSE(state.note({Found::silence, "nobody"}));
  CHECK(state.now() == Fitness::unfit);
  CHECK(state.note({Found::had, {}})->fitness == Fitness::fit);
  CHECK(state.reason().empty());
  CHECK(state.note({Found::withheld, "gone"})->fitness == Fitness::lost);
  CHECK(state.now() == Fitness::lost);
  CHECK_FALSE(state.note({Found::withheld, "gone"}));
  CHECK(state.note({Found::had, {}})->fitness == Fitness::fit);
}

TEST_CASE("fitness: silence alone makes nobody unfit, and who was fit stays so") {
  FitnessState state;
  state.others_are_answered();  // before the keys were asked for
  CHECK(state.now() == Fitness::unknown);
  CHECK(state.note({Found::silence, "nobody answers"})->fitness == Fitness::unknown);
  CHECK_FALSE(state.note({Found::silence, "nobody answers"}));
  CHECK(state.now() == Fitness::unknown);
  state.others_are_answered();
  CHECK(state.now() == Fitness::unfit);
  CHECK(state.reason() == "nobody answers");
  CHECK_FALSE(state.note({Found::withheld, "no keys"}));  // one line was enough
  CHECK(state.now() == Fitness::unfit);
  state.note({Found::had, {}});
  CHECK_FALSE(state.note({Found::silence, "nobody answers"}));
  CHECK(state.now() == Fitness::fit);
}

TEST_CASE("fitness: it is looked at again by one worker, sooner while something is wrong") {
  FitnessState state;
  CHECK(state.claim(1000));
  CHECK_FALSE(state.claim(1000));
  state.note({Found::withheld, ""});
  CHECK_FALSE(state.claim(60'999));
  CHECK(state.claim(61'000));
  state.note({Found::had, {}});
  CHECK_FALSE(state.claim(360'999));
  state.suspect();
  CHECK_FALSE(state.claim(65'999));
  CHECK(state.claim(66'000));
  CHECK_FALSE(state.claim(365'999));
  CHECK(state.claim(366'000));
}

TEST_CASE("fitness: the root's keys are asked for, or those of the zone that is vouched for") {
  CHECK(keys_question({"example. IN DS 1 2 3 4", ". IN DNSKEY 257 3 13 k"}) == keys);
  CHECK(keys_question({"Example. IN DS 1 2 3 4"}) == Question{"example", Type::dnskey});
}

// A watch whose servers are asked by resolvers that answer what the test wants.
struct World {
  // What a watch gets, to be its own.
  struct Fresh final : Resolver {
    explicit Fresh(World& in) : world(in) {}
    ~Fresh() override { --world.resolvers; }
    std::unique_ptr<Lookup> lookup(const Question& question, Callback callback) override {
      return world.resolver.lookup(question, std::move(callback));
    }
    World& world;
  };

  std::unique_ptr<FitnessWatch> make() {
    FitnessWatch::Means means;
    means.fresh_resolver = [this] {
      ++resolvers;
      return std::make_unique<Fresh>(*this);
    };
    means.later = [this](std::function<void()> task) { tasks.push_back(std::move(task)); };
    means.tell = [this](const FitnessState::News& news) { told.push_back(news.fitness); };
    return std::make_unique<FitnessWatch>(state, keys, means);
  }
  void turn() {
    resolver.deliver();
    for (const auto& task : std::exchange(tasks, {})) task();
  }

  testing::FakeResolver resolver;
  int resolvers = 0;
  std::vector<std::function<void()>> tasks;
  std::vector<Fitness> told;
  std::shared_ptr<FitnessState> state = std::make_shared<FitnessState>();
  std::unique_ptr<FitnessWatch> watch = make();
};

TEST_CASE("fitness watch: who waits is told when the answer has come, and not before") {
  World world;
  world.resolver.set(keys, testing::exists(true, {"key"}));
  int called = 0;
  const auto first = world.watch->wait([&] { ++called; });
  auto second = world.watch->wait([&] { FAIL("cancelled"); });
  second.reset();
  CHECK(called == 0);
  CHECK(world.resolver.asked == std::vector<Question>{keys});
  world.turn();
  CHECK(called == 1);
  CHECK(world.watch->now() == Fitness::fit);
  CHECK(world.told.empty());  // nothing to be said
  CHECK(world.resolvers == 0);
}

TEST_CASE("fitness watch: silence holds nobody up for long, and is not met with a question for each message") {
  World world;
  int called = 0;
  std::vector<std::unique_ptr<Lookup>> lookups;
  world.watch->sweep(1000);
  world.turn();
  for (int i = 0; i < 5; ++i) {
    lookups.push_back(world.watch->wait([&] { ++called; }));
    world.turn();
  }
  CHECK(called == 5);
  CHECK(world.resolver.asked.size() == 1);
  CHECK(world.told == std::vector<Fitness>{Fitness::unknown});
  world.watch->sweep(2000);
  world.resolver.set(keys, testing::exists(true, {"key"}));
  lookups.push_back(world.watch->wait([&] { ++called; }));
  world.turn();
  CHECK(world.watch->now() == Fitness::fit);
  CHECK(called == 6);
  CHECK(world.told == std::vector<Fitness>{Fitness::unknown, Fitness::fit});
}

TEST_CASE("fitness watch: a question that has reached nobody is no servers' silence") {
  World world;
  Answer unasked = failure("the resolver has ended");
  unasked.unasked = true;
  world.resolver.set(keys, unasked);
  bool called = false;
  const auto lookup = world.watch->wait([&] { called = true; });
  world.turn();
  CHECK(called);
  CHECK(world.told.empty());
  CHECK(world.watch->reason().empty());
  world.watch->others_are_answered();
  CHECK(world.watch->now() == Fitness::unknown);
}

TEST_CASE("fitness watch: several workers share what one has found, and say it once") {
  World world;
  const auto other = world.make();
  world.resolver.set(keys, bogus());
  world.watch->sweep(1000);
  other->sweep(1000);
  CHECK(world.resolver.asked.size() == 1);
  other->ask();
  world.turn();
  CHECK(other->now() == Fitness::unfit);
  CHECK(world.told == std::vector<Fitness>{Fitness::unfit});
}

TEST_CASE("fitness watch: it may go while it asks") {
  World world;
  const auto waiting = world.watch->wait([] { FAIL("nobody is there any more"); });
  world.watch.reset();
  CHECK(world.resolvers == 0);
  world.turn();
}

}  // namespace fitness_test
