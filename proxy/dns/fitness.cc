#include "proxy/dns/fitness.h"

#include <utility>

namespace postern::dns {

std::string_view to_string(Fitness fitness) {
  switch (fitness) {
    case Fitness::unknown: return "unknown";
    case Fitness::fit: return "fit";
    case Fitness::unfit: return "unfit";
    case Fitness::lost: return "lost";
  }
  return "unknown";
}

KeysFound keys_found(const Answer& answer) {
  using Result = KeysFound::Result;
  switch (answer.status) {
    case Status::exists:
      if (answer.secure) return {Result::had, {}};
      return {Result::withheld, "the trust anchor's keys came without signatures"};
    case Status::no_data:
    case Status::no_such_name: return {Result::withheld, "it says that the trust anchor's zone has no keys"};
    case Status::bogus: return {Result::withheld, answer.reason};
    case Status::failed: break;
  }
  return {Result::silence, "the trust anchor's keys cannot be had: " + answer.reason};
}

Fitness FitnessState::now() const {
  const std::scoped_lock lock(mutex_);
  return fitness_;
}

std::string FitnessState::reason() const {
  const std::scoped_lock lock(mutex_);
  return reason_;
}

std::optional<FitnessState::News> FitnessState::note(const KeysFound& found) {
  const std::scoped_lock lock(mutex_);
  if (found.result == KeysFound::Result::had) {
    reason_.clear();
    fitness_ = Fitness::fit;
    if (!std::exchange(complained_, false)) return std::nullopt;
    return News{fitness_, {}};
  }
  const bool was_fit = fitness_ == Fitness::fit || fitness_ == Fitness::lost;
  // Silence says nothing about a server that was fit: what is asked of it fails, and waits, as it is.
  if (found.result == KeysFound::Result::silence && was_fit) return std::nullopt;
  if (found.result == KeysFound::Result::withheld) fitness_ = was_fit ? Fitness::lost : Fitness::unfit;
  reason_ = found.reason;
  if (std::exchange(complained_, true)) return std::nullopt;
  return News{fitness_, reason_};
}

void FitnessState::others_are_answered() {
  const std::scoped_lock lock(mutex_);
  if (fitness_ == Fitness::unknown && !reason_.empty()) fitness_ = Fitness::unfit;
}

bool FitnessState::claim(std::uint64_t now) {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t wait = suspected_ ? least_interval : (fitness_ == Fitness::fit ? interval : short_interval);
  if (last_claim_ != 0 && now < last_claim_ + wait) return false;
  last_claim_ = now;
  suspected_ = false;
  return true;
}

void FitnessState::suspect() {
  const std::scoped_lock lock(mutex_);
  suspected_ = fitness_ == Fitness::fit;
}

void FitnessState::forget() {
  const std::scoped_lock lock(mutex_);
  fitness_ = Fitness::unknown;
  reason_.clear();
  complained_ = false;
  last_claim_ = 0;
}

}  // namespace postern::dns
