// A worker's connection to whoever has its private keys, and another one where that is lost.
#pragma once

#include <functional>

#include "config/unique_fd.h"
#include "proxy/net/loop.h"
#include "proxy/net/restart_pauses.h"
#include "proxy/net/timer.h"
#include "proxy/signing/client.h"

namespace postern::gateway {

class SignerLink {
 public:
  explicit SignerLink(net::Loop& loop);

  signing::Client& client() { return client_; }
  // `ask` has another one sent; called whenever this one, or what it has led to, is of no use: at once, or after a
  // pause where they follow upon one another, and until there is one. `told` hears why.
  using Ask = std::function<void()>;
  using Told = std::function<void(const std::string& why)>;
  void connect(UniqueFd connection, Ask ask, Told told);

 private:
  void seek();

  net::Loop& loop_;
  net::RestartPauses pauses_;
  Ask ask_;
  net::Timer again_;
  signing::Client client_;
};

}  // namespace postern::gateway
