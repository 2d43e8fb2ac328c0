// For the time in which the dialogues are rebuilt: those of before (tests/fuzz/twin/, a frozen copy of proxy/smtp) and
// the present ones, told the same and held against each other after every event: effect by effect, outcome by outcome.
// A rig that is built with POSTERN_TWIN has them in place of its dialogue.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/smtp/inbound_dialogue.h"
#include "proxy/smtp/outbound_dialogue.h"
#include "tests/fuzz/twin/inbound_dialogue.h"
#include "tests/fuzz/twin/outbound_dialogue.h"

namespace postern::smtp::twin {

// One line for each effect. Sends to one side that follow each other are one: it leaves as one stream of octets.
template <class List>
std::string text_of(const List& effects) {
  using Kind = before::Effect::Kind;
  std::string text;
  bool sending = false;
  bool to_client = false;
  for (const auto& effect : effects.list()) {
    const auto kind = static_cast<Kind>(effect.kind);
    const bool client = static_cast<before::Side>(effect.side) == before::Side::client;
    if (kind == Kind::send) {
      if (!sending || client != to_client) text += client ? "\nto client: " : "\nto server: ";
      text += effect.bytes;
      sending = true;
      to_client = client;
      continue;
    }
    sending = false;
    text += "\n" + std::string(effect.bytes) + " (" + std::string(effect.reason) + "): ";
    switch (kind) {
      case Kind::send: break;
      case Kind::start_tls: text += client ? "start_tls client" : "start_tls server"; break;
      case Kind::connect_backend: text += "connect"; break;
      case Kind::drop_backend: text += "drop"; break;
      case Kind::arm: text += "arm " + std::to_string(static_cast<int>(effect.timer)); break;
      case Kind::judge: text += "judge"; break;
      case Kind::refused: text += "refused " + std::string(row(effect.refusal).label); break;
      case Kind::turned_away: text += "turned_away"; break;
      case Kind::message: text += "message " + std::to_string(static_cast<int>(effect.message_result)); break;
      case Kind::because: text += "because"; break;
      case Kind::finish: text += "finish " + std::string(to_string(effect.ending)); break;
    }
  }
  return text;
}

template <class Dialogue>
std::string state_of(const Dialogue& dialogue) {
  const auto& outcome = dialogue.outcome();
  std::string text = outcome.helo + "\n" + outcome.trouble + "\n";
  for (const auto& item : outcome.envelope.items()) text += item + "\n";
  for (const std::uint64_t number : {std::uint64_t{outcome.authenticated}, std::uint64_t{outcome.blank_lines},
                                     outcome.envelope.left_out(), std::uint64_t{dialogue.wants_client_bytes()},
                                     std::uint64_t{dialogue.idle()}, std::uint64_t{dialogue.awaits_verdict()}}) {
    text += std::to_string(number) + " ";
  }
  return text;
}

template <class Dialogue>
std::string remote_state_of(const Dialogue& dialogue) {
  const auto& remote = dialogue.remote();
  std::string text = remote.reply + "\n" + remote.trouble + "\n";
  for (const unsigned number :
       {static_cast<unsigned>(remote.stage), unsigned{remote.served}, unsigned{remote.garbled}, dialogue.question(),
        unsigned{dialogue.asking()}, unsigned{dialogue.undecided()}, unsigned{dialogue.may_reconnect()}}) {
    text += std::to_string(number) + " ";
  }
  return text;
}

inline void hold_against(std::string_view what, const std::string& before, const std::string& now) {
  if (before == now) return;
  std::fprintf(stderr, "TWINS DIFFER in %.*s\n--- before:%s\n--- now:%s\n", static_cast<int>(what.size()), what.data(),
               before.c_str(), now.c_str());
  std::abort();
}

template <class Now, class Before>
class Twin : public Dialogue {
 public:
  template <class NowFacts, class BeforeFacts>
  Twin(const NowFacts& now, const BeforeFacts& before) : now_(now), before_(before) {}

  void start(Effects& out) override {
    both("start", out, [](auto& dialogue, auto& effects) { dialogue.start(effects); });
  }
  std::size_t on_client_bytes(std::string_view plaintext, Effects& out) override {
    std::size_t taken_before = 0;
    std::size_t taken = 0;
    both("client bytes", out, [&](auto& dialogue, auto& effects) {
      taken_before = std::exchange(taken, dialogue.on_client_bytes(plaintext, effects));
    });
    hold_against("what was taken of the client's octets", std::to_string(taken_before), std::to_string(taken));
    return taken;
  }
  bool wants_client_bytes() const override { return now_.wants_client_bytes(); }
  void on_server_bytes(std::string_view plaintext, Effects& out) override {
    both("server bytes", out, [&](auto& dialogue, auto& effects) { dialogue.on_server_bytes(plaintext, effects); });
  }
  void on_connected(Effects& out) override {
    both("connected", out, [](auto& dialogue, auto& effects) { dialogue.on_connected(effects); });
  }
  void on_connect_failed(Effects& out) override {
    both("connect failed", out, [](auto& dialogue, auto& effects) { dialogue.on_connect_failed(effects); });
  }
  void on_tls(Side side, const tls::SessionFacts& facts, Effects& out) override {
    before_.on_tls(static_cast<before::Side>(side), facts, effects_);
    now_.on_tls(side, facts, out);
    compare("tls", out);
  }
  void on_tls_failed(Side side, Effects& out) override {
    before_.on_tls_failed(static_cast<before::Side>(side), effects_);
    now_.on_tls_failed(side, out);
    compare("tls failed", out);
  }
  void on_timer(Timer which, Effects& out) override {
    before_.on_timer(static_cast<before::Timer>(which), effects_);
    now_.on_timer(which, out);
    compare("timer", out);
  }
  void on_closed(Side side, Effects& out) override {
    before_.on_closed(static_cast<before::Side>(side), effects_);
    now_.on_closed(side, out);
    compare("closed", out);
  }
  bool awaits_verdict() const override { return now_.awaits_verdict(); }
  void on_drain(Effects& out) override {
    both("drain", out, [](auto& dialogue, auto& effects) { dialogue.on_drain(effects); });
  }
  const DialogueOutcome& outcome() const override { return now_.outcome(); }
  bool idle() const override { return now_.idle(); }

 protected:
  // The one of before goes first.
  template <class Event>
  void both(std::string_view what, Effects& out, Event event) {
    event(before_, effects_);
    event(now_, out);
    compare(what, out);
  }
  void compare(std::string_view what, const Effects& out) {
    const std::string after(what);
    hold_against("the effects after " + after, text_of(effects_), text_of(out));
    hold_against("the state after " + after, state_of(before_), state_of(now_));
    if constexpr (requires { now_.remote(); }) {
      hold_against("what is known of the remote after " + after, remote_state_of(before_), remote_state_of(now_));
    }
    effects_.clear();
  }

  Now now_;
  Before before_;
  before::Effects effects_;
};

class Inbound final : public Twin<InboundDialogue, before::InboundDialogue> {
 public:
  explicit Inbound(const InboundFacts& facts) : Twin(facts, of_before(facts)) {}

 private:
  static before::InboundFacts of_before(const InboundFacts& facts) {
    return {facts.listener,    facts.hostname,      facts.client_address,
            facts.client_port, facts.tls_available, facts.notes_envelopes};
  }
};

class Outbound final : public Twin<OutboundDialogue, before::OutboundDialogue> {
 public:
  explicit Outbound(const OutboundFacts& facts) : Twin(facts, of_before(facts)) {}

  void plan(RemotePlan plan) {
    before_.plan(
        {plan.tls_first, plan.try_starttls, plan.demand_tls, plan.auth_mechanism, plan.auth_user, plan.auth_secret});
    now_.plan(std::move(plan));
  }
  void on_judged(const Judgement& judgement, Effects& out) {
    before_.on_judged({static_cast<before::Judgement::Action>(judgement.action), judgement.reply, judgement.vouched},
                      effects_);
    now_.on_judged(judgement, out);
    compare("a judgement", out);
  }
  const RemoteState& remote() const { return now_.remote(); }
  std::uint32_t question() const { return now_.question(); }
  bool asking() const { return now_.asking(); }
  bool undecided() const { return now_.undecided(); }
  bool may_reconnect() const { return now_.may_reconnect(); }

 private:
  static before::OutboundFacts of_before(const OutboundFacts& facts) {
    return {facts.listener, facts.hostname, facts.tls_available, facts.greets_itself, facts.notes_envelopes};
  }
};

}  // namespace postern::smtp::twin
