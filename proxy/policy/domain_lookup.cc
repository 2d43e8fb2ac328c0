#include "proxy/policy/domain_lookup.h"

#include <utility>

namespace postern::policy {

DomainLookup::DomainLookup(dns::Resolver& resolver, MtaStsSource* mta_sts, std::string_view domain,
                           const RouteLookup::Options& options, Callback callback)
    : resolver_(resolver), route_(domain, options), callback_(std::move(callback)) {
  ask();
  if (mta_sts != nullptr && !lookups_.empty()) {
    mta_sts_done_ = false;
    mta_sts_lookup_ = mta_sts->lookup(std::string(domain), [this](const MtaStsFacts& found) {
      facts_.mta_sts = found;
      mta_sts_done_ = true;
      finish_if_done();
    });
  }
}

DomainFacts DomainLookup::take() {
  facts_.route = route_.take();
  return std::move(facts_);
}

void DomainLookup::ask() {
  for (const dns::Question& question : route_.take_questions()) {
    lookups_[question] =
        resolver_.lookup(question, [this, question](const dns::Answer& answer) { on_answer(question, answer); });
  }
}

void DomainLookup::on_answer(const dns::Question& question, const dns::Answer& answer) {
  route_.on_answer(question, answer);
  ask();
  finish_if_done();
}

void DomainLookup::finish_if_done() {
  if (!mta_sts_done_ || !route_.done() || !callback_) return;
  // The callback may destroy us; nothing of ours is touched after it.
  const Callback callback = std::exchange(callback_, nullptr);
  callback(take());
}

}  // namespace postern::policy
