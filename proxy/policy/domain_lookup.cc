#include "proxy/policy/domain_lookup.h"

#include <utility>

namespace postern::policy {

DomainQuery query_for(const LocalPolicy& local, std::string name, RouteLookup::Kind kind, std::uint16_t port) {
  DomainQuery query;
  query.name = std::move(name);
  query.options.kind = kind;
  query.options.port = port;
  query.options.dane = local.wants_dane();
  query.options.observe = local.observe;
  query.mta_sts = local.wants_mta_sts();
  return query;
}

DomainLookup::DomainLookup(const dns::Resolvers& resolvers, MtaStsSource* mta_sts, const DomainQuery& query,
                           Callback callback)
    : resolvers_(resolvers),
      domain_(query.name),
      options_(query.options),
      mta_sts_(query.mta_sts ? mta_sts : nullptr),
      route_(query.name, query.options),
      callback_(std::move(callback)) {
  if (route_.done()) return;
  if (resolvers_.fitness() == dns::Fitness::unknown) {
    waiting_ = resolvers_.watch->wait([this] {
      waiting_.reset();
      begin();
    });
  } else {
    begin();
  }
}

void DomainLookup::begin() {
  // Where nothing is lost by it, a server that was fit and is no longer may be believed, too.
  const dns::Fitness fitness = resolvers_.fitness();
  // Where the question for the keys has not reached anybody, a message waits sooner than it goes without a proof.
  const bool unasked = fitness == dns::Fitness::unknown && resolvers_.watch->reason().empty();
  proves_ = fitness == dns::Fitness::fit || unasked || (fitness == dns::Fitness::lost && options_.dane);
  if (!proves_) route_.nothing_is_proven(resolvers_.watch->reason());
  ask();
  if (mta_sts_ == nullptr) return;
  mta_sts_done_ = false;
  mta_sts_lookup_ = mta_sts_->lookup(domain_, [this](const MtaStsFacts& found) {
    facts_.mta_sts = found;
    mta_sts_done_ = true;
    finish_if_done();
  });
}

DomainFacts DomainLookup::take() {
  facts_.route = route_.take();
  return std::move(facts_);
}

void DomainLookup::ask() {
  dns::Resolver& resolver = proves_ ? resolvers_.validating : *resolvers_.plain;
  for (const dns::Question& question : route_.take_questions()) {
    lookups_[question] =
        resolver.lookup(question, [this, question](const dns::Answer& answer) { on_answer(question, answer); });
  }
}

void DomainLookup::on_answer(const dns::Question& question, const dns::Answer& answer) {
  route_.on_answer(question, answer);
  ask();
  if (route_.done()) on_route();
}

void DomainLookup::on_route() {
  Route found = route_.take();
  if (proves_ && is_bogus(found) && resolvers_.watch != nullptr) resolvers_.watch->suspect();
  const bool answered = found.outcome != Route::Outcome::dns_failed && found.outcome != Route::Outcome::dns_bogus;
  if (!proves_ && !doubted_ && answered) resolvers_.watch->others_are_answered();
  if (wants_second_look(found)) {
    doubted_ = std::move(found);
    proves_ = false;
    route_ = RouteLookup(domain_, options_);
    route_.nothing_is_proven({});
    return ask();
  }
  // Nothing that is not proven makes a message bounce, or wait where it did not have to.
  const bool better = !doubted_ || leads_somewhere(found);
  facts_.route = !better ? std::move(*doubted_) : (doubted_ ? without_proof(std::move(found), *doubted_) : found);
  route_known_ = true;
  finish_if_done();
}

// Who only observes delivers what anybody would deliver who has never heard of DNSSEC.
bool DomainLookup::wants_second_look(const Route& found) const {
  const bool settled = found.outcome == Route::Outcome::no_such_domain || found.outcome == Route::Outcome::null_mx;
  return options_.observe && proves_ && resolvers_.plain != nullptr && !settled && !leads_somewhere(found);
}

void DomainLookup::finish_if_done() {
  if (!mta_sts_done_ || !route_known_ || !callback_) return;
  // That no policy was heard of says something only of a domain that was asked.
  const bool leads =
      facts_.route.outcome == Route::Outcome::hosts || facts_.route.outcome == Route::Outcome::leads_back;
  if (facts_.mta_sts.unasked && !facts_.mta_sts.policy && leads) {
    facts_.route.outcome = Route::Outcome::dns_failed;
    facts_.route.hosts.clear();
    facts_.route.reason = "MTA-STS lookup: " + facts_.mta_sts.remark;
    facts_.route.ttl = std::chrono::seconds(0);
  }
  // The callback may destroy us; nothing of ours is touched after it.
  const Callback callback = std::exchange(callback_, nullptr);
  callback(std::move(facts_));
}

}  // namespace postern::policy
