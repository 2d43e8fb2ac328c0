// An outbound dialogue between a client, remote servers and a session's judgement, all made of strings.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/assert.h"
#include "proxy/smtp/outbound_dialogue.h"
#include "tests/proxy/smtp/outbound_watch.h"
#ifdef POSTERN_TWIN
#include "tests/fuzz/twin.h"
#endif

namespace postern::smtp::outbound_rig {

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

inline std::string_view name_of(MessageResult result) {
  switch (result) {
    case MessageResult::accepted: return "accepted";
    case MessageResult::refused_temporarily: return "refused_temporarily";
    case MessageResult::refused_permanently: return "refused_permanently";
    case MessageResult::lost: return "lost";
    case MessageResult::in_doubt: return "in_doubt";
  }
  return "";
}

#ifdef POSTERN_TWIN
using Subject = twin::Outbound;
#else
using Subject = OutboundDialogue;
#endif

struct Options {
  config::OutboundListener listener;
  RemotePlan plan;
  bool tls_available = true;
  bool greets_itself = false;
  bool cut = false;  // every input octet by octet
};

class Rig {
 public:
  explicit Rig(const Options& options = {}) : plan(options.plan), options_(options) {
    OutboundFacts facts;
    facts.listener = &options_.listener;
    facts.hostname = "gateway.example";
    facts.tls_available = options_.tls_available;
    facts.greets_itself = options_.greets_itself;
    dialogue_ = std::make_unique<Subject>(facts);
  }

  void start() {
    tell([&] { dialogue_->start(effects_); });
  }

  void client(std::string_view bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += options_.cut ? 1 : bytes.size()) {
      unread += bytes.substr(at, options_.cut ? 1 : bytes.size());
      offer_once();
      pump();
    }
  }

  // What comes behind the 220 to STARTTLS is the handshake's, once that has begun.
  void server(std::string_view bytes) {
    for (std::size_t at = 0; at < bytes.size() && !ended() && link == Link::up; at += options_.cut ? 1 : bytes.size()) {
      const Copy copy(bytes.substr(at, options_.cut ? 1 : bytes.size()));
      watch_.heard(copy.view());
      tell([&] { dialogue_->on_server_bytes(copy.view(), effects_); });
      pump();
    }
  }

  void connected() {
    link = Link::up;
    watch_ = Watch(plan.demand_tls, plan.tls_first);
    dialogue_->plan(plan);
    tell_and_pump([&] { dialogue_->on_connected(effects_); });
  }
  void connect_failed() {
    link = Link::down;
    tell_and_pump([&] { dialogue_->on_connect_failed(effects_); });
  }
  void tls(Side side) {
    if (side == Side::backend) {
      link = Link::up;
      watch_.secured();
    }
    tell_and_pump([&] { dialogue_->on_tls(side, tls::SessionFacts{}, effects_); });
  }
  void tls_failed(Side side) {
    tell_and_pump([&] { dialogue_->on_tls_failed(side, effects_); });
  }
  void judge(Judgement::Action action, std::string reply = {}) {
    judging = false;
    if (action == Judgement::Action::proceed) watch_.proceed(domain_judged);
    tell_and_pump([&] { dialogue_->on_judged({action, reply, vouched}, effects_); });
  }
  void proceed() { judge(Judgement::Action::proceed); }
  void reconnect() { judge(Judgement::Action::reconnect); }
  void refuse(std::string reply) { judge(Judgement::Action::refuse, std::move(reply)); }
  void close(Side side) {
    if (side == Side::backend) link = Link::down;
    tell_and_pump([&] { dialogue_->on_closed(side, effects_); });
  }
  void time_out() {
    tell_and_pump([&] { dialogue_->on_timer(timer, effects_); });
  }
  void drain() {
    tell_and_pump([&] { dialogue_->on_drain(effects_); });
  }

  bool ended() const { return !ending.empty(); }
  Subject& dialogue() { return *dialogue_; }
  std::string stage() const { return std::string(name_of(dialogue_->remote().stage)); }

  std::string take_client() { return std::exchange(to_client, {}); }
  std::string take_server() { return std::exchange(to_server, {}); }
  std::vector<std::string> take_events() { return std::exchange(events, {}); }

  enum class Link { down, dialing, up, handshake };

  RemotePlan plan;        // of the next connection
  std::string to_client;  // sent and not yet taken
  std::string to_server;  // … to whichever server was connected
  std::vector<std::string>
      events;  // "dial", "drop", "tls client", "judge DOMAIN", "refused LABEL", "message RESULT", …
  std::string ending;
  std::string reason;       // given last
  std::string turned_away;  // "verb: reply"
  std::string unread;       // of the client, not yet taken by the dialogue
  Timer timer = Timer::none;
  Link link = Link::down;
  bool judging = false;
  std::string domain_judged;
  std::size_t sends = 0;
  bool vouched = true;  // by the next judgement that lets it proceed

 private:
  // Input that is gone after the call, as a read buffer is: a view kept into it shows under a sanitizer.
  class Copy {
   public:
    explicit Copy(std::string_view bytes) : size_(bytes.size()), bytes_(new char[bytes.size() + 1]) {
      std::memcpy(bytes_.get(), bytes.data(), size_);
    }
    std::string_view view() const { return {bytes_.get(), size_}; }

   private:
    std::size_t size_;
    std::unique_ptr<char[]> bytes_;
  };

  template <class Event>
  void tell(Event event) {
    if (ended()) return;
    event();
    carry_out();
  }
  template <class Event>
  void tell_and_pump(Event event) {
    tell(event);
    pump();
  }

  bool offer_once() {
    if (ended() || unread.empty()) return false;
    const Copy copy(unread);
    std::size_t taken = 0;
    tell([&] { taken = dialogue_->on_client_bytes(copy.view(), effects_); });
    unread.erase(0, taken);
    return taken > 0;
  }
  void pump() {
    while (!ended() && dialogue_->wants_client_bytes() && offer_once()) {
    }
  }

  void carry_out() {
    for (const Effect& effect : effects_.list()) {
      if (ended()) break;
      perform(effect);
    }
    effects_.clear();
  }

  void perform(const Effect& effect) {
    switch (effect.kind) {
      case Effect::Kind::send: return send(effect);
      case Effect::Kind::start_tls:
        if (effect.side == Side::backend) link = Link::handshake;
        if (effect.side == Side::client) watch_.client_begins_anew();
        return happens(effect.side == Side::client ? "tls client" : "tls backend");
      case Effect::Kind::connect_backend:
        POSTERN_ASSERT(link == Link::down, "a second connection");
        POSTERN_ASSERT(!client_authenticated(), "the client has authenticated on another connection");
        link = Link::dialing;
        return happens("dial");
      case Effect::Kind::drop_backend: link = Link::down; return happens("drop");
      case Effect::Kind::arm: timer = effect.timer; return;
      case Effect::Kind::judge:
        POSTERN_ASSERT(!judging, "asked twice");
        judging = true;
        domain_judged = effect.bytes;
        return happens("judge " + std::string(effect.bytes));
      case Effect::Kind::refused: return happens("refused " + std::string(row(effect.refusal).label));
      case Effect::Kind::turned_away:
        turned_away += std::string(effect.bytes) + ": " + std::string(effect.reason);
        return;
      case Effect::Kind::message: return happens("message " + std::string(name_of(effect.message_result)));
      case Effect::Kind::because: reason = effect.bytes; return;
      case Effect::Kind::finish: ending = to_string(effect.ending); return happens("end " + ending);
    }
  }

  bool client_authenticated() const { return watch_.authenticated() && options_.plan.auth_mechanism.empty(); }

  void send(const Effect& effect) {
    ++sends;
    if (effect.side == Side::client) return void(to_client += effect.bytes);
    POSTERN_ASSERT(link == Link::up, "words for nobody");
    watch_.sent(effect.bytes);
    to_server += effect.bytes;
  }

  void happens(std::string event) { events.push_back(std::move(event)); }

  Options options_;
  std::unique_ptr<Subject> dialogue_;
  Effects effects_;
  Watch watch_{false, false};
};

}  // namespace postern::smtp::outbound_rig
