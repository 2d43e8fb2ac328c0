// An inbound dialogue between a client and a server made of strings: what each of them is sent, and all that happens.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/smtp/inbound_dialogue.h"
#ifdef POSTERN_TWIN
#include "tests/fuzz/twin.h"
#endif

namespace postern::smtp::dialogue_rig {

inline std::string_view name_of(Timer timer) {
  switch (timer) {
    case Timer::none: return "none";
    case Timer::handshake: return "handshake";
    case Timer::greeting: return "greeting";
    case Timer::reply: return "reply";
    case Timer::backend_connect: return "backend_connect";
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

#ifdef POSTERN_TWIN
using Subject = twin::Inbound;
#else
using Subject = InboundDialogue;
#endif

struct Options {
  config::InboundListener listener;
  bool tls_available = true;
  bool cut = false;  // every input octet by octet

  Options() { listener.mode = config::TlsMode::starttls; }
};

class Rig {
 public:
  explicit Rig(const Options& options = {}) : options_(options) {
    InboundFacts facts;
    facts.listener = &options_.listener;
    facts.hostname = "gateway.example";
    facts.client_address = *config::parse_ip_address("192.0.2.7");
    facts.client_port = 4025;
    facts.tls_available = options_.tls_available;
    dialogue_ = std::make_unique<Subject>(facts);
  }

  void start() {
    tell([&] { dialogue_->start(effects_); });
  }

  // The usual beginning: connected, greeted, and what was said forgotten.
  void start_with(std::string_view greeting) {
    start();
    connected();
    server(greeting);
    to_client.clear();
    events.clear();
  }

  void client(std::string_view bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += options_.cut ? 1 : bytes.size()) {
      unread += bytes.substr(at, options_.cut ? 1 : bytes.size());
      offer_once();
      pump();
    }
  }

  void server(std::string_view bytes) {
    const auto connection = drops_;  // what is left of a connection's octets goes with it
    for (std::size_t at = 0; at < bytes.size() && !ended() && drops_ == connection;
         at += options_.cut ? 1 : bytes.size()) {
      const Copy copy(bytes.substr(at, options_.cut ? 1 : bytes.size()));
      tell([&] { dialogue_->on_server_bytes(copy.view(), effects_); });
      pump();
    }
  }

  void connected() {
    tell_and_pump([&] { dialogue_->on_connected(effects_); });
  }
  void connect_failed() {
    tell_and_pump([&] { dialogue_->on_connect_failed(effects_); });
  }
  void tls(Side side, tls::Verification verification = tls::Verification::not_requested) {
    tls::SessionFacts facts;
    facts.verification = verification;
    tell_and_pump([&] { dialogue_->on_tls(side, facts, effects_); });
  }
  void tls_failed(Side side) {
    tell_and_pump([&] { dialogue_->on_tls_failed(side, effects_); });
  }
  void close(Side side) {
    tell_and_pump([&] { dialogue_->on_closed(side, effects_); });
  }
  void time_out() { time_out(timer); }
  void time_out(Timer which) {
    tell_and_pump([&] { dialogue_->on_timer(which, effects_); });
  }
  void drain() {
    tell_and_pump([&] { dialogue_->on_drain(effects_); });
  }

  bool ended() const { return !ending.empty(); }
  Subject& dialogue() { return *dialogue_; }

  std::string take_client() { return std::exchange(to_client, {}); }
  std::string take_server() { return std::exchange(to_server, {}); }

  std::string to_client;            // sent and not yet taken
  std::string to_server;            // … to the server that is connected now
  std::vector<std::string> events;  // "dial", "drop", "tls client", "refused LABEL", "message RESULT", "end ENDING"
  std::string ending;
  std::string reason;       // given last
  std::string reasons;      // all of them, each with a line end
  std::string turned_away;  // "verb: reply"
  std::string unread;       // of the client, not yet taken by the dialogue
  Timer timer = Timer::none;
  int armed = 0;  // how often
  std::size_t sends = 0;

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
      case Effect::Kind::send:
        (effect.side == Side::client ? to_client : to_server) += effect.bytes;
        ++sends;
        return;
      case Effect::Kind::start_tls:
        return events.emplace_back(effect.side == Side::client ? "tls client" : "tls backend"), void();
      case Effect::Kind::connect_backend: return events.emplace_back("dial"), void();
      case Effect::Kind::drop_backend:
        to_server.clear();  // what it has not read yet
        ++drops_;
        return events.emplace_back("drop"), void();
      case Effect::Kind::arm:
        timer = effect.timer;
        ++armed;
        return;
      case Effect::Kind::judge: return events.push_back("judge " + std::string(effect.bytes));
      case Effect::Kind::refused: return events.push_back("refused " + std::string(row(effect.refusal).label));
      case Effect::Kind::turned_away:
        turned_away += std::string(effect.bytes) + ": " + std::string(effect.reason);
        return;
      case Effect::Kind::message: return events.push_back("message " + std::string(name_of(effect.message_result)));
      case Effect::Kind::because:
        reason = effect.bytes;
        reasons += reason + "\n";
        return;
      case Effect::Kind::finish: ending = to_string(effect.ending); return events.push_back("end " + ending);
    }
  }

  Options options_;
  std::unique_ptr<Subject> dialogue_;
  Effects effects_;
  int drops_ = 0;
};

}  // namespace postern::smtp::dialogue_rig
