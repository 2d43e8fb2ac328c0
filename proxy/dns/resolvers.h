// A worker's two ways to ask: by the resolver that proves what it says, or by one that takes answers as they come, for
// where nothing can be proven.
#pragma once

#include "proxy/dns/fitness_watch.h"
#include "proxy/dns/resolver.h"

namespace postern::dns {

struct Resolvers {
  Resolvers(Resolver& only) : validating(only) {}
  Resolvers(Resolver& proves, Resolver& believes, FitnessWatch& watches)
      : validating(proves), plain(&believes), watch(&watches) {}

  Fitness fitness() const { return watch != nullptr ? watch->now() : Fitness::fit; }

  Resolver& validating;
  Resolver* plain = nullptr;      // null: there is no trust anchor, so that `validating` proves nothing either
  FitnessWatch* watch = nullptr;  // null likewise
};

// Asks whichever of the two is of use when it is asked: for what needs no proof.
class FittingResolver final : public Resolver {
 public:
  explicit FittingResolver(const Resolvers& resolvers) : resolvers_(resolvers) {}
  std::unique_ptr<Lookup> lookup(const Question& question, Callback callback) override {
    const Fitness fitness = resolvers_.fitness();
    const bool proves = fitness == Fitness::fit || fitness == Fitness::lost || resolvers_.plain == nullptr;
    return (proves ? resolvers_.validating : *resolvers_.plain).lookup(question, std::move(callback));
  }

 private:
  Resolvers resolvers_;
};

}  // namespace postern::dns
