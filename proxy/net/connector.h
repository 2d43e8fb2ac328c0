// One attempt to reach an address: IP, host name (each of its addresses in turn) or unix socket.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "config/result.h"
#include "proxy/net/address.h"
#include "proxy/net/handle.h"

namespace postern::net {

class Connector {
 public:
  using OnDone = std::function<void(Result<StreamPtr>)>;

  // Begins. `source`, where given, is the address the connection comes from although it is not ours (IP_TRANSPARENT).
  // `on_done` is called once, later, never from inside this call, and may destroy the connector. TCP_NODELAY is set.
  // No time limit of its own: destroying the connector gives up.
  static Result<std::unique_ptr<Connector>> start(uv_loop_t* loop, const config::Endpoint& endpoint,
                                                  std::optional<SocketAddress> source, OnDone on_done);
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

 private:
  struct Lookup;
  Connector(uv_loop_t* loop, std::optional<SocketAddress> source, OnDone on_done)
      : loop_(loop), source_(source), on_done_(std::move(on_done)) {}

  std::optional<Error> resolve(const std::string& name, std::uint16_t port);
  void on_resolved(int status, const addrinfo* found, std::uint16_t port);
  std::optional<Error> connect_unix(const std::string& path);
  std::optional<Error> connect_ip(const SocketAddress& target);
  void on_connected(int status);
  void try_next(std::string last_error);
  void done(Result<StreamPtr> result);

  uv_loop_t* loop_;
  std::optional<SocketAddress> source_;
  OnDone on_done_;
  StreamPtr handle_;
  Lookup* lookup_ = nullptr;            // in flight; owned by its own callback
  std::vector<SocketAddress> targets_;  // still to be tried, last first
};

}  // namespace postern::net
