// Listening sockets: bound before privileges are dropped, served by a loop afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/net/address.h"
#include "proxy/net/handle.h"
#include "proxy/net/timer.h"

namespace postern::net {

// `count` sockets on one address, for as many loops (SO_REUSEPORT). With port 0 the kernel chooses one port for all.
// TCP_NODELAY is set here, since accepted sockets inherit it.
struct BoundAddress {
  SocketAddress address;
  std::vector<UniqueFd> sockets;
};
struct BindOptions {
  bool transparent = false;  // connections to any address may be brought here by a TPROXY rule
  bool beside_ours = false;  // a socket of ours that goes has this port, maybe at another address
};
// A unix socket at a path. What was left there by somebody who is no more is removed. Who may connect: whoever gets to
// the folder, or our own user alone.
enum class OpenTo : std::uint8_t { everybody, owner };
Result<UniqueFd> bind_unix(const std::string& path, OpenTo open_to = OpenTo::everybody);

Result<BoundAddress> bind_address(const config::Endpoint& endpoint, unsigned count, const BindOptions& options = {});

// Where a stream socket that was handed over is bound, a unix socket too. Errc::invalid_argument: it is something else.
Result<config::Endpoint> bound_to(const UniqueFd& socket);
// Such a TCP socket, as bind_address would have made it.
Result<BoundAddress> take_bound(UniqueFd socket, const BindOptions& options = {});

// Why a connection could not be accepted.
enum class AcceptError : std::uint8_t {
  descriptors,         // this process has as many as it may have
  system_descriptors,  // … the machine
  memory,
  aborted,  // its client took it back
  other,
};
std::string_view to_string(AcceptError error);

// Accepts connections on one bound socket. Destroying it stops that; whom it calls must not. Where descriptors or
// memory have run out, or nothing can be accepted for another reason, it pauses, and tries again ten times a second:
// who connects meanwhile waits in the kernel's queue. (libuv's own accepting would close whoever waits there.)
class Listener {
 public:
  using OnConnection = std::function<void(StreamPtr connection)>;
  using OnError = std::function<void(AcceptError error)>;
  static Result<std::unique_ptr<Listener>> start(uv_loop_t* loop, UniqueFd socket, OnConnection on_connection,
                                                 OnError on_error = {});
  ~Listener();
  // Keeps a descriptor back, so that one connection gets in even where none are left. To be said again when that ends.
  void keep_spare();
  // Before it goes: whoever waits in the kernel's queue would be reset with the socket, and is accepted instead.
  void accept_all();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  Listener(uv_loop_t* loop, UniqueFd socket, OnConnection on_connection, OnError on_error);
  std::optional<Error> listen();
  std::optional<Error> watch();
  void accept(int most);
  int accept_one();
  void give_up(int error);

  uv_loop_t* loop_;
  UniqueFd socket_;
  bool is_unix_ = false;
  UniqueFd spare_;
  bool keeps_spare_ = false;
  OnConnection on_connection_;
  OnError on_error_;
  Timer pause_;
  HandlePtr<uv_poll_t> poll_;
};

}  // namespace postern::net
