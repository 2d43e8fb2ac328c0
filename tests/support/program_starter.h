// Starts programs for a worker under test, as the keeper does for a gateway's.
#pragma once

#include <memory>
#include <thread>
#include <utility>

#include "config/settings.h"
#include "proxy/net/packet_socket.h"
#include "proxy/programs/server.h"

namespace postern::test_support {

class ProgramStarter {
 public:
  explicit ProgramStarter(const config::Settings& settings) {
    auto pair = net::packet_pair();
    connection_ = std::move(pair->second);
    auto held = std::make_shared<UniqueFd>(std::move(pair->first));
    loop_.post([this, held, settings] {
      for (const auto& listener : settings.inbound) {
        if (!listener.backend.exec.empty()) server_.offer(listener.name, listener.backend.exec);
      }
      server_.connect(std::move(*held));
    });
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~ProgramStarter() {
    loop_.post([this] { loop_.stop(); });
    thread_.join();
  }
  // The worker's end.
  UniqueFd connection() { return std::move(connection_); }

 private:
  net::Loop loop_;
  net::Reaper reaper_{loop_};
  programs::Server server_{loop_, reaper_, {std::nullopt, "/usr/bin:/bin"}};
  UniqueFd connection_;
  std::thread thread_;
};

}  // namespace postern::test_support
