// An outbound dialogue in a rig: between a client, remote servers and a session's judgement.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "proxy/smtp/outbound_dialogue.h"
#include "tests/proxy/smtp/dialogue_rig.h"
#include "tests/proxy/smtp/outbound_watch.h"

namespace postern::smtp::outbound_rig {

using dialogue_rig::Events;
using dialogue_rig::Link;

inline std::string_view name_of(RemoteState::Stage stage) {
  using enum RemoteState::Stage;
  switch (stage) {
    case none: return "none";
    case connect_failed: return "connect_failed";
    case greeting_failed: return "greeting_failed";
    case lost: return "lost";
    case tls_not_offered: return "tls_not_offered";
    case tls_refused: return "tls_refused";
    case tls_injected: return "tls_injected";
    case tls_failed: return "tls_failed";
    case tls_broken: return "tls_broken";
    case auth_failed: return "auth_failed";
    case open: return "open";
  }
  return "";
}

struct Options {
  static constexpr auto direction = config::Direction::outbound;
  config::OutboundListener listener;
  RemotePlan plan;
  bool tls_available = true;
  bool greets_itself = false;
  HandshakeGate* gate = nullptr;
  bool cut = false;  // every input octet by octet

  OutboundFacts facts() const {
    OutboundFacts facts;
    facts.listener = &listener;
    facts.hostname = "gateway.example";
    facts.tls_available = tls_available;
    facts.greets_itself = greets_itself;
    return facts;
  }
};

class Rig final : public dialogue_rig::DialogueRig<OutboundDialogue, Options> {
 public:
  explicit Rig(const Options& options = {}) : DialogueRig(options), plan(options.plan) {}

  void connected() {
    watch_ = Watch(plan.demand_tls, plan.tls_first);
    dialogue().plan(plan);
    DialogueRig::connected();
  }
  void judge(PolicyAnswer::Action action, std::string reply = {}, Refusal refusal = Refusal::remote_unusable) {
    judging = false;
    if (action == PolicyAnswer::Action::proceed) watch_.proceed(domain_judged);
    tell_and_pump([&] { dialogue().on_policy_answer({action, reply, vouched, refusal}, effects()); });
  }
  void proceed() { judge(PolicyAnswer::Action::proceed); }
  void reconnect() { judge(PolicyAnswer::Action::reconnect); }
  void refuse(std::string reply, Refusal refusal = Refusal::remote_unusable) {
    judge(PolicyAnswer::Action::refuse, std::move(reply), refusal);
  }

  std::string stage() { return std::string(name_of(dialogue().remote().stage)); }

  RemotePlan plan;  // of the next connection
  bool judging = false;
  std::string domain_judged;
  bool vouched = true;  // by the next judgement that lets it proceed

 private:
  void server_says(std::string_view bytes) override { watch_.heard(bytes); }
  void server_secured() override { watch_.secured(); }

  void look_at(const Effect& effect) override {
    switch (effect.kind) {
      case Effect::Kind::send:
        if (effect.side == Side::server) watch_.sent(effect.bytes);
        return;
      case Effect::Kind::start_tls:
        if (effect.side == Side::client) watch_.client_begins_anew();
        return;
      case Effect::Kind::connect_server:
        POSTERN_ASSERT(!client_authenticated(), "the client has authenticated on another connection");
        return;
      case Effect::Kind::ask_policy:
        POSTERN_ASSERT(!judging, "asked twice");
        judging = true;
        domain_judged = effect.bytes;
        return;
      default: return;  // no matter of the watch
    }
  }

  bool client_authenticated() const { return watch_.authenticated() && options().plan.auth_mechanism.empty(); }

  Watch watch_{false, false};
};

}  // namespace postern::smtp::outbound_rig
