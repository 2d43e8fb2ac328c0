// The listening sockets: bound once, and kept for as long as the configuration has them, whatever becomes of the
// gateway that serves them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/settings.h"
#include "proxy/keeper/messages.h"
#include "proxy/net/listener.h"
#include "proxy/net/packet_socket.h"

namespace postern::keeper {

class Listening {
 public:
  explicit Listening(unsigned workers) : workers_(workers) {}

  // Binds every address of every listener, a socket for each worker. An error: nothing has changed.
  Result<void> bind(const config::Settings& settings);
  // None of them is ours any more: where nobody else has them, nobody can connect.
  void close() { held_.clear(); }

  // All of them, as messages with duplicates, of which the gateway may have what it likes.
  using Send = std::function<void(const Order& order, net::Descriptors descriptors)>;
  Result<void> send_all(std::uint32_t version, const Send& send) const;

  // Says in the log what is listened on.
  void tell(const config::Settings& settings) const;

 private:
  struct Held {
    std::string listener;  // "inbound.mx"
    config::Endpoint endpoint;
    net::BoundAddress bound;
  };
  static Result<void> bind(const std::string& listener, const std::vector<config::Endpoint>& listen, unsigned workers,
                           const net::BindOptions& options, std::vector<Held>& held);
  std::string addresses(const std::string& listener) const;

  unsigned workers_;
  std::vector<Held> held_;
};

}  // namespace postern::keeper
