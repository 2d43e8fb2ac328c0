// Names that the system knows: /etc/hosts, DNS, and whatever else nsswitch.conf says.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/result.h"
#include "config/values.h"
#include "proxy/net/handle.h"

namespace postern::net {

// One under way. Destroying it cancels: the callback is then never called.
class NameLookup {
 public:
  virtual ~NameLookup() = default;
};

class Names {
 public:
  // At least one address, at most eight. Errc::not_found: the name has none; others may not last.
  using Callback = std::function<void(Result<std::vector<config::IpAddress>>)>;
  // Calls back once, from the loop and never from inside this call. The callback may destroy the lookup.
  virtual std::unique_ptr<NameLookup> look_up(const std::string& name, Callback callback) = 0;
  virtual ~Names() = default;
};

// By getaddrinfo, in threads of libuv's. A lookup that was cancelled may hold its thread, and the loop, for longer.
class SystemNames final : public Names {
 public:
  explicit SystemNames(uv_loop_t* loop) : loop_(loop) {}
  std::unique_ptr<NameLookup> look_up(const std::string& name, Callback callback) override;

 private:
  uv_loop_t* loop_;
};

}  // namespace postern::net
