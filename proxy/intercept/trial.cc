#include "proxy/intercept/trial.h"

#include <poll.h>

#include <array>
#include <csignal>
#include <cstring>

#include "proxy/intercept/guardian.h"
#include "proxy/intercept/terminal.h"

namespace postern::intercept {

namespace {

// True: the guardian has something to say, or is gone. Once `asked`, nothing else counts.
bool pass_on_words(const Guardian& guardian, const HeldSignals& signals, const Terminal& terminal, bool& asked) {
  std::array<pollfd, 3> ready = {pollfd{guardian.socket(), POLLIN, 0},
                                 pollfd{asked ? -1 : signals.descriptor(), POLLIN, 0},
                                 pollfd{asked ? -1 : terminal.descriptor(), POLLIN, 0}};
  ::poll(ready.data(), ready.size(), -1);
  if (ready[0].revents != 0) return true;
  if (ready[1].revents != 0 && signals.next() != 0) {
    guardian.take_back();
    asked = true;
  } else if (ready[2].revents != 0) {
    const Terminal::Press press = terminal.press();
    if (press == Terminal::Press::key) guardian.keep();
    if (press == Terminal::Press::gone) guardian.take_back();
    asked = press != Terminal::Press::none;
  }
  return false;
}

// Somebody has killed the guardian.
Verdict take_back_ourselves(const KernelRules& kernel, const Present& before) {
  const auto back = kernel.put_back(before, {});
  if (!back) return {Verdict::Kind::failed, back.error().message};
  return {Verdict::Kind::taken_back, "the process that was to do it was killed"};
}

Verdict verdict_of(const Guardian::Message& message) {
  switch (message.word) {
    case Guardian::Word::kept: return {Verdict::Kind::kept, {}};
    case Guardian::Word::taken_back: return {Verdict::Kind::taken_back, message.text};
    case Guardian::Word::replaced: return {Verdict::Kind::replaced, {}};
    case Guardian::Word::in_place:
    case Guardian::Word::refused:
    case Guardian::Word::failed: break;
  }
  return {Verdict::Kind::failed, message.text};
}

}  // namespace

Verdict try_out(const KernelRules& kernel, const std::string& rules, bool routes, std::chrono::milliseconds patience,
                const std::function<void(bool can_press)>& on_ready) {
  const auto before = kernel.look();
  if (!before) return {Verdict::Kind::failed, before.error().message};
  const HeldSignals signals;
  const auto guardian = Guardian::start(kernel, *before, rules, routes, patience);
  if (!guardian) return {Verdict::Kind::failed, guardian.error().message};
  const auto first = guardian->hear();
  if (!first) return take_back_ourselves(kernel, *before);
  if (first->word != Guardian::Word::in_place) return verdict_of(*first);

  const Terminal terminal;
  on_ready(terminal.is_ours());
  bool asked = false;
  while (!pass_on_words(*guardian, signals, terminal, asked)) {
  }
  const auto last = guardian->hear();
  return last ? verdict_of(*last) : take_back_ourselves(kernel, *before);
}

}  // namespace postern::intercept
