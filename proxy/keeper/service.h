// What the service manager hears of this process, and the sockets that it has handed over.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/result.h"
#include "proxy/keeper/listening.h"
#include "proxy/keeper/messages.h"
#include "proxy/net/loop.h"
#include "proxy/net/timer.h"
#include "proxy/process/service_manager.h"

namespace postern::keeper {

class Service {
 public:
  // `ask` has the gateway say that it is alive, which hear() is told then; false: there is none, and another one
  // begins soon, which is as good.
  Service(net::Loop& loop, std::function<bool()> ask);

  // Before anything is said.
  std::optional<Error> begin();

  // Mail is taken, for the first time or again.
  void ready();
  // For each reload: both, whatever comes of it.
  void reloading() const { manager_.reloading(); }
  void reloaded() const { manager_.ready(); }
  void stopping();
  // That process takes our place.
  void handed_over_to(pid_t pid);
  void hear(const Alive& report);
  // What it was asked is not answered any more.
  void on_gateway_end() { asked_ = false; }

 private:
  void tick();
  void tell(const std::string& status);

  process::ServiceManager manager_;
  std::function<bool()> ask_;
  net::Timer timer_;
  std::chrono::milliseconds interval_{0};
  bool asked_ = false;  // and not answered yet
  bool ready_ = false;
  bool stopping_ = false;
  std::string status_;  // as it was said last
};

// Those that a service manager has bound for us. An error says which cannot be used.
Result<std::vector<Listening::Given>> activated_sockets();

}  // namespace postern::keeper
