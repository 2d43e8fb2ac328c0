// Listening sockets: bound before privileges are dropped, served by a loop afterwards.
#pragma once

#include <functional>
#include <vector>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/net/address.h"
#include "proxy/net/handle.h"

namespace postern::net {

// `count` sockets on one address, for as many loops (SO_REUSEPORT). With port 0 the kernel chooses one port for all.
// TCP_NODELAY is set here, since accepted sockets inherit it.
struct BoundAddress {
  SocketAddress address;
  std::vector<UniqueFd> sockets;
};
struct BindOptions {
  bool transparent = false;  // connections to any address may be brought here by a TPROXY rule
};
Result<BoundAddress> bind_address(const config::Endpoint& endpoint, unsigned count, const BindOptions& options = {});

// Accepts connections on one bound socket. Destroying it stops that.
class Listener {
 public:
  using OnConnection = std::function<void(StreamPtr connection)>;
  static Result<std::unique_ptr<Listener>> start(uv_loop_t* loop, UniqueFd socket, OnConnection on_connection);

 private:
  explicit Listener(OnConnection on_connection) : on_connection_(std::move(on_connection)) {}
  void accept();

  StreamPtr handle_;
  OnConnection on_connection_;
};

}  // namespace postern::net
