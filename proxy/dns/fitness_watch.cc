#include "proxy/dns/fitness_watch.h"

#include <utility>

#include "proxy/dns/records.h"

namespace postern::dns {

namespace {
constexpr std::uint64_t pause_after_silence = 1'000;  // milliseconds
}

Question keys_question(const TrustAnchor& anchor) {
  std::string owner;
  for (const std::string& record : anchor) {
    const std::string name = normalize_name(record.substr(0, record.find(' ')));
    if (name.empty()) return {{}, Type::dnskey};
    if (owner.empty()) owner = name;
  }
  return {owner, Type::dnskey};
}

class FitnessWatch::Ticket final : public Lookup {
 public:
  explicit Ticket(std::shared_ptr<Waiting> waiting) : waiting_(std::move(waiting)) {}
  ~Ticket() override { waiting_->callback = nullptr; }

 private:
  std::shared_ptr<Waiting> waiting_;
};

FitnessWatch::FitnessWatch(std::shared_ptr<FitnessState> state, Question keys, Means means)
    : state_(std::move(state)),
      keys_(std::move(keys)),
      means_(std::move(means)),
      alive_(std::make_shared<FitnessWatch*>(this)) {}

FitnessWatch::~FitnessWatch() = default;

void FitnessWatch::ask() {
  if (resolver_) return;
  resolver_ = means_.fresh_resolver();
  if (!resolver_) return;
  lookup_ = resolver_->lookup(keys_, [this](const Answer& answer) { on_answer(answer); });
}

void FitnessWatch::on_answer(const Answer& answer) {
  const KeysFound found = keys_found(answer);
  // Nobody was asked: that is no servers' silence.
  const auto news = answer.unasked ? std::nullopt : state_->note(found);
  if (news) means_.tell(*news);
  if (found.result == KeysFound::Result::silence) may_ask_at_ = now_ + pause_after_silence;
  // The resolver is still in its own callback.
  means_.later([alive = std::weak_ptr(alive_)] {
    if (const auto self = alive.lock()) (*self)->end();
  });
}

void FitnessWatch::end() {
  lookup_.reset();
  resolver_.reset();
  for (const auto& waiting : std::exchange(waiting_, {})) {
    if (const auto callback = std::exchange(waiting->callback, nullptr)) callback();
  }
}

std::unique_ptr<Lookup> FitnessWatch::wait(std::function<void()> callback) {
  if (now_ >= may_ask_at_) ask();
  auto waiting = std::make_shared<Waiting>(Waiting{std::move(callback)});
  waiting_.push_back(waiting);
  if (!resolver_) {
    means_.later([alive = std::weak_ptr(alive_)] {
      const auto self = alive.lock();
      if (self && !(*self)->resolver_) (*self)->end();
    });
  }
  return std::make_unique<Ticket>(std::move(waiting));
}

void FitnessWatch::sweep(std::uint64_t now) {
  now_ = now;
  if (state_->claim(now)) ask();
}

}  // namespace postern::dns
