// Asks the name servers for the trust anchor's keys: at the start, from time to time, and when somebody needs to know.
// One for each worker; what is found belongs to all of them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "proxy/dns/fitness.h"
#include "proxy/dns/trust_anchor.h"

namespace postern::dns {

// The question for the keys of the zone that the anchor vouches for: of the root, if it is among them.
Question keys_question(const TrustAnchor& anchor);

class FitnessWatch {
 public:
  struct Means {
    // One that validates, gives up within some seconds and remembers nothing yet; null: none can be made.
    std::function<std::unique_ptr<Resolver>()> fresh_resolver;
    std::function<void(std::function<void()>)> later;  // runs the task in another turn of the loop
    std::function<void(const FitnessState::News&)> tell;
  };
  FitnessWatch(std::shared_ptr<FitnessState> state, Question keys, Means means);
  ~FitnessWatch();

  Fitness now() const { return state_->now(); }
  std::string reason() const { return state_->reason(); }

  // Asks at once, unless that is being done.
  void ask();
  // While it is unknown: calls back when an answer has come, or none in time, never from inside this call. Destroying
  // the Lookup cancels.
  std::unique_ptr<Lookup> wait(std::function<void()> callback);
  void suspect() { state_->suspect(); }
  void others_are_answered() { state_->others_are_answered(); }
  // Every so often; `now` is loop time in milliseconds.
  void sweep(std::uint64_t now);

 private:
  struct Waiting {
    std::function<void()> callback;  // empty: called, or cancelled
  };
  class Ticket;
  void on_answer(const Answer& answer);
  void end();

  std::shared_ptr<FitnessState> state_;
  Question keys_;
  Means means_;
  std::shared_ptr<FitnessWatch*> alive_;  // what runs later holds it weakly
  std::unique_ptr<Resolver> resolver_;    // while it asks
  std::unique_ptr<Lookup> lookup_;        // goes before the resolver
  std::vector<std::shared_ptr<Waiting>> waiting_;
  std::uint64_t now_ = 0;
  std::uint64_t may_ask_at_ = 0;  // where nobody answers, not every message asks
};

}  // namespace postern::dns
