// A dialogue between a client and servers made of strings: what each of them is sent, and all that happens. What is
// peculiar to a direction is in inbound_rig.h and outbound_rig.h.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/assert.h"
#include "proxy/smtp/dialogue.h"
#include "proxy/smtp/refusals.h"

namespace postern::smtp::dialogue_rig {

// "dial", "drop", "tls client", "tls server", "ask_policy DOMAIN", "refused LABEL", "message RESULT", "end ENDING"
using Events = std::vector<std::string>;

inline std::string_view name_of(Timer timer) {
  switch (timer) {
    case Timer::none: return "none";
    case Timer::handshake: return "handshake";
    case Timer::greeting: return "greeting";
    case Timer::reply: return "reply";
    case Timer::connect: return "connect";
    case Timer::command: return "command";
    case Timer::data_block: return "data_block";
    case Timer::data_end: return "data_end";
    case Timer::closing: return "closing";
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

// With the server.
enum class Link { down, dialing, up, handshake };

// `Options` has the listener, `cut` (every input octet by octet), and facts() and `gate`, of which the dialogue is
// made.
template <class Dialogue, class Options>
class DialogueRig {
 public:
  explicit DialogueRig(const Options& options)
      : options_(options), dialogue_(std::make_unique<Dialogue>(options_.facts(), options_.gate)) {}
  DialogueRig(const DialogueRig&) = delete;
  virtual ~DialogueRig() = default;

  void start() {
    tell([&] { dialogue_->start(effects_); });
  }

  void client(std::string_view bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += step(bytes)) {
      unread += bytes.substr(at, step(bytes));
      offer_once();
      pump();
    }
  }

  // What is left of a connection's octets goes with it. What comes behind the 220 to STARTTLS is the handshake's, once
  // that has begun.
  void server(std::string_view bytes) {
    const int connection = dials_;
    for (std::size_t at = 0; at < bytes.size() && !ended() && link == Link::up && dials_ == connection;
         at += step(bytes)) {
      const Copy copy(bytes.substr(at, step(bytes)));
      server_says(copy.view());
      tell_and_pump([&] { dialogue_->on_server_bytes(copy.view(), effects_); });
    }
  }

  void connected() {
    POSTERN_ASSERT(link == Link::dialing, "nobody has asked for a connection");
    link = Link::up;
    tell_and_pump([&] { dialogue_->on_connected(effects_); });
  }
  void connect_failed() {
    link = Link::down;
    tell_and_pump([&] { dialogue_->on_connect_failed(effects_); });
  }
  void tls(Side side, tls::Verification verification = tls::Verification::not_requested) {
    if (side == Side::server) {
      link = Link::up;
      server_secured();
    }
    tls::SessionFacts facts;
    facts.verification = verification;
    tell_and_pump([&] { dialogue_->on_tls(side, facts, effects_); });
  }
  void tls_failed(Side side) {
    tell_and_pump([&] { dialogue_->on_tls_failed(side, effects_); });
  }
  void close(Side side) {
    if (side == Side::server) link = Link::down;
    tell_and_pump([&] { dialogue_->on_closed(side, effects_); });
  }
  void time_out() { time_out(timer); }
  void time_out(Timer which) {
    tell_and_pump([&] { dialogue_->on_timer(which, effects_); });
  }
  void drain() {
    tell_and_pump([&] { dialogue_->on_drain(effects_); });
  }

  void cut() {
    tell_and_pump([&] { dialogue_->on_cut(effects_); });
  }

  bool ended() const { return !ending.empty(); }
  Dialogue& dialogue() { return *dialogue_; }

  std::string take_client() { return std::exchange(to_client, {}); }
  std::string take_server() { return std::exchange(to_server, {}); }
  Events take_events() { return std::exchange(events, {}); }

  std::string to_client;  // sent and not yet taken
  std::string to_server;  // … to whichever server was connected
  Events events;
  std::string ending;
  std::string reason;        // given last
  std::string reasons;       // all of them, each with a line end
  std::string turned_away;   // "verb: reply"
  Events counted_as;         // the labels of all that was refused
  std::size_t accepted = 0;  // messages
  std::size_t messages_refused = 0;
  std::size_t errors = 0;  // of the client's
  std::string unread;      // of the client, not yet taken by the dialogue
  Timer timer = Timer::none;
  int armed = 0;  // how often
  std::size_t sends = 0;
  Link link = Link::down;

 protected:
  template <class Event>
  void tell_and_pump(Event event) {
    tell(event);
    pump();
  }

  // Looked at before it is carried out.
  virtual void look_at(const Effect&) {}
  virtual void server_says(std::string_view) {}
  virtual void server_secured() {}

  const Options& options() const { return options_; }
  Effects& effects() { return effects_; }

 private:
  std::size_t step(std::string_view bytes) const { return options_.cut ? 1 : bytes.size(); }

  template <class Event>
  void tell(Event event) {
    if (ended()) return;
    event();
    for (const Effect& effect : effects_.list()) {
      if (ended()) break;
      look_at(effect);
      perform(effect);
    }
    effects_.clear();
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

  void perform(const Effect& effect) {
    switch (effect.kind) {
      case Effect::Kind::send: return send(effect);
      case Effect::Kind::start_tls:
        if (effect.side == Side::server) link = Link::handshake;
        return happens(effect.side == Side::client ? "tls client" : "tls server");
      case Effect::Kind::connect_server:
        POSTERN_ASSERT(link == Link::down, "a second connection");
        link = Link::dialing;
        ++dials_;
        return happens("dial");
      case Effect::Kind::drop_server: link = Link::down; return happens("drop");
      case Effect::Kind::arm:
        timer = effect.timer;
        ++armed;
        return;
      case Effect::Kind::ask_policy: return happens("ask_policy " + std::string(effect.bytes));
      case Effect::Kind::refused:
        errors += row(effect.refusal).is_error ? 1 : 0;
        counted_as.emplace_back(row(effect.refusal).label);
        return happens("refused " + std::string(row(effect.refusal).label));
      case Effect::Kind::turned_away:
        counted_as.emplace_back(row(effect.refusal).label);
        turned_away += std::string(effect.bytes) + ": " + std::string(effect.reason);
        return;
      case Effect::Kind::message:
        accepted += effect.message_result == MessageResult::accepted ? 1 : 0;
        messages_refused += effect.message_result == MessageResult::refused_temporarily ||
                                    effect.message_result == MessageResult::refused_permanently
                                ? 1
                                : 0;
        return happens("message " + std::string(name_of(effect.message_result)));
      case Effect::Kind::because:
        reason = effect.bytes;
        reasons += reason + "\n";
        return;
      case Effect::Kind::finish: ending = to_string(effect.ending, Options::direction); return happens("end " + ending);
    }
  }

  void send(const Effect& effect) {
    ++sends;
    if (effect.side == Side::client) return void(to_client += effect.bytes);
    POSTERN_ASSERT(link == Link::up, "words for nobody");
    to_server += effect.bytes;
  }

  void happens(std::string event) { events.push_back(std::move(event)); }

  Options options_;
  std::unique_ptr<Dialogue> dialogue_;
  Effects effects_;
  int dials_ = 0;
};

template <class Dialogue, class Options>
bool happened(const DialogueRig<Dialogue, Options>& rig, std::string_view event) {
  return std::find(rig.events.begin(), rig.events.end(), event) != rig.events.end();
}

}  // namespace postern::smtp::dialogue_rig
