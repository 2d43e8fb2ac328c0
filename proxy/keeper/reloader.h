// What SIGHUP and `postern reload` begin: the configuration is read anew and handed to the gateway, and is the present
// one once that serves it, as a whole. Else nothing has changed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxy/keeper/listening.h"
#include "proxy/keeper/messages.h"
#include "proxy/keeper/prepared.h"
#include "proxy/keeper/reload.h"
#include "proxy/keeper/renewal.h"
#include "proxy/net/packet_socket.h"

namespace postern::keeper {

class Reloader {
 public:
  struct Means {
    std::string file;      // the configuration
    Prepared& present;     // what the gateway serves; changed here
    Listening& listening;  // likewise
    Renewal& renewal;      // waits meanwhile
    unsigned workers = 1;
    // To the gateway that there is.
    std::function<void(const Order& order, net::Descriptors descriptors)> send;
    // There is none now.
    std::function<bool()> nobody_there;
    // Who works for the gateway's sessions is to know the snapshot of that number as well, before the gateway has it;
    // or is not to know it any more, as nothing came of it.
    std::function<std::optional<Error>(const Prepared& next, std::uint32_t version)> announce;
    std::function<void(std::uint32_t version)> withdraw;
    // `present` is another one now, which the gateway serves.
    std::function<void()> swapped;
    // failed() may have changed.
    std::function<void()> ended;
    // What became of one: what has changed, or why nothing has.
    std::function<void(bool taken_over, const std::string& what)> told = {};
  };
  explicit Reloader(Means means);

  struct Outcome {
    bool taken_over = false;
    std::string text;  // what is to be said of it, in lines
  };
  // Once, and maybe at once.
  using OnOutcome = std::function<void(const Outcome& outcome)>;
  // Reads it now, or, where something is with the gateway already or that has only begun, as soon as that is over: once
  // for all who have asked meanwhile. While there is no gateway, the next one has it.
  void ask(OnOutcome on_outcome = {});

  // True: that is about a snapshot that was sent from here.
  bool hear(const Serving& report);
  bool hear(const Refused& report);
  // It may be that what was asked for can be done now.
  void go_on();
  // What it had not said that it serves it has not taken over.
  void on_gateway_end();
  // It does not say what becomes of what it was given: who has asked waits no longer.
  void on_silence();
  // Nothing is taken over any more.
  void end();
  // The last one was not taken over.
  bool failed() const { return failed_; }

 private:
  struct Trial {
    std::uint32_t version = 0;
    Reload reload;
    std::vector<config::Diagnostic> diagnostics;
    std::vector<OnOutcome> asked;
  };
  void begin();
  Result<void> send(const Reload& reload, std::uint32_t version);
  void refuse(const std::string& why, const std::vector<config::Diagnostic>& diagnostics,
              const std::vector<OnOutcome>& asked);
  void take_back(const std::string& why);
  void take(Trial trial);

  Means means_;
  std::optional<Trial> trial_;
  bool wanted_ = false;
  std::vector<OnOutcome> waiting_;  // for what is wanted
  bool failed_ = false;
  bool over_ = false;
};

}  // namespace postern::keeper
