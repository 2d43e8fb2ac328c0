// What certificates of addresses were last asked for: an intercepted connection shows an address only, and asking for
// the right name at once saves a second handshake.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "proxy/net/address.h"

namespace postern::outbound {

class RememberedNames {
 public:
  explicit RememberedNames(std::size_t limit = 8192) : half_(limit / 2) {}

  // Empty: none.
  std::string find(const net::SocketAddress& address) {
    auto found = recent_.find(address);
    if (found != recent_.end()) return found->second;
    found = older_.find(address);
    if (found == older_.end()) return {};
    std::string name = found->second;
    remember(address, name);
    return name;
  }

  void remember(const net::SocketAddress& address, const std::string& name) {
    // Two generations: who has not been met while half of the limit were is forgotten.
    if (recent_.size() >= half_ && !recent_.contains(address)) {
      older_ = std::move(recent_);
      recent_.clear();
    }
    recent_[address] = name;
  }

  std::size_t size() const { return recent_.size() + older_.size(); }

 private:
  std::size_t half_;
  std::map<net::SocketAddress, std::string> recent_;
  std::map<net::SocketAddress, std::string> older_;
};

}  // namespace postern::outbound
