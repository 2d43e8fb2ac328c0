// One attempt to reach an address: IP, host name (each of its addresses in turn) or unix socket.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "config/result.h"
#include "proxy/net/address.h"
#include "proxy/net/handle.h"
#include "proxy/net/names.h"

namespace postern::net {

// How a connection is made, beyond where to.
struct ConnectOptions {
  std::optional<SocketAddress> source;  // the address it comes from; port 0: any
  bool transparent = false;             // `source` is not ours (IP_TRANSPARENT)
  std::uint32_t mark = 0;               // SO_MARK, for firewall and routing rules; 0: none
  Names* names = nullptr;               // who knows addresses of host names; null: nobody
};

class Connector {
 public:
  using OnDone = std::function<void(Result<StreamPtr>)>;

  // Begins. A source of our own that is of another family than the target is left out; a transparent one is an error.
  // `on_done` is called once, later, never from inside this call, and may destroy the connector. TCP_NODELAY is set.
  // No time limit of its own: destroying the connector gives up.
  static Result<std::unique_ptr<Connector>> start(uv_loop_t* loop, const config::Endpoint& endpoint,
                                                  const ConnectOptions& options, OnDone on_done);
  // Where the connection comes from; nothing before one to an IP address has begun.
  std::optional<SocketAddress> local_address() const;
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

 private:
  Connector(uv_loop_t* loop, const ConnectOptions& options, OnDone on_done)
      : loop_(loop), options_(options), on_done_(std::move(on_done)) {}

  std::optional<Error> resolve(const std::string& name, std::uint16_t port);
  std::optional<Error> connect_unix(const std::string& path);
  std::optional<Error> connect_ip(const SocketAddress& target);
  void on_connected(int status);
  void try_next(std::string last_error);
  void done(Result<StreamPtr> result);

  uv_loop_t* loop_;
  ConnectOptions options_;
  OnDone on_done_;
  StreamPtr handle_;
  std::unique_ptr<NameLookup> lookup_;
  std::vector<SocketAddress> targets_;  // still to be tried, last first
};

}  // namespace postern::net
