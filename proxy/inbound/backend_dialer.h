// Reaches the server behind a session: the best of several addresses, with failover.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "config/settings.h"
#include "proxy/inbound/backend_pool.h"
#include "proxy/net/connector.h"

namespace postern::inbound {

class BackendDialer {
 public:
  struct Connected {
    net::StreamPtr socket;
    std::string name;                   // for the record
    std::optional<std::size_t> pooled;  // index in the pool; release it when the connection ends
  };
  using OnDone = std::function<void(Result<Connected>)>;

  // `pool` and `names` (or null) outlive the dialer. `source`: the address to come from (client_address: transparent).
  BackendDialer(uv_loop_t* loop, BackendPool& pool, net::Names* names, std::optional<net::SocketAddress> source,
                OnDone on_done)
      : loop_(loop), pool_(pool), names_(names), source_(source), on_done_(std::move(on_done)) {}

  // Tries the addresses one after the other. An error means that none could even be begun; otherwise `on_done` is
  // called once, later, and may destroy the dialer.
  std::optional<Error> dial();
  // The address being tried takes too long: on to the next one. An error, as from dial(), where none is left.
  std::optional<Error> next_after_timeout();

 private:
  void on_connected(Result<net::StreamPtr> socket);
  void finish(Result<Connected> result);

  uv_loop_t* loop_;
  BackendPool& pool_;
  net::Names* names_;
  std::optional<net::SocketAddress> source_;
  OnDone on_done_;
  std::unique_ptr<net::Connector> connector_;
  std::size_t current_ = 0;
  std::uint64_t tried_ = 0;
};

}  // namespace postern::inbound
