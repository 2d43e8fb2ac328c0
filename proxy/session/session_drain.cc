// How a session ends because the process, or its listener, does.
#include <algorithm>

#include "proxy/session/session.h"

namespace postern::session {

using smtp::Ending;
using smtp::Timer;

namespace {
// Who has just been answered speaks next, as a rule, and finds out then: a 421 that comes right behind a 250 is taken
// for the fate of its message. Milliseconds of silence before it is told unasked.
constexpr std::uint64_t silence = 1'000;
}  // namespace

void Session::on_drain(const Drain& drain) {
  if (over()) return;
  const bool first = drain_end_ == 0;
  const std::uint64_t told = first ? drain.tell : std::min(drain.tell, drain_end_ - tell_ahead_);
  drain_end_ = first ? drain.end : std::min(drain.end, drain_end_);
  tell_ahead_ = static_cast<std::uint32_t>(drain_end_ - std::min(told, drain_end_));
  if (!dialogue_) return finish(Ending::draining);
  if (!first) return;  // a second time would end an idle session
  dialogue_->on_drain(around_.effects);
  carry_out();
  pump();
}

// True: something was said.
bool Session::end_drain(std::uint64_t now) {
  if (now >= drain_end_) {
    cut_ = true;
    record_.reason = "the time for draining is over";
    dialogue_->on_cut(around_.effects);
  } else if (told_by_now(now)) {
    dialogue_->on_drain(around_.effects);  // the second time ends an idle session
  } else {
    return false;
  }
  carry_out();
  pump();
  return true;
}

bool Session::told_by_now(std::uint64_t now) const {
  if (now < drain_end_ - tell_ahead_ || !dialogue_->idle()) return false;
  if (timer_ != Timer::command || deadline_ == 0) return true;
  const auto heard = deadline_ - static_cast<std::uint64_t>(wait_for(Timer::command).count());
  return now - std::min(heard, now) >= silence;
}

std::optional<Drained> Session::drained() const {
  if (cut_) return Drained::cut;
  if (drain_end_ == 0) return std::nullopt;
  return record_.ending == Ending::draining ? Drained::told : Drained::by_itself;
}

void Session::abandon() {
  if (retired_) return;
  cut_ = cut_ || !finishing_;
  record_.ending = Ending::draining;
  record_.reason = "stopped at once";
  if (dialogue_ && dialogue_->message_unanswered()) doubt(record_.reason, {});
  retire();
}

}  // namespace postern::session
