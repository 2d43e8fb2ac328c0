#include "proxy/net/interface_addresses.h"

#include <ifaddrs.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "proxy/net/address.h"

namespace postern::net {

namespace {

using Clock = std::chrono::steady_clock;

// Asking the kernel costs more than a comparison, and addresses come and go seldom.
constexpr std::chrono::seconds kept_for{5};

}  // namespace

std::vector<config::IpAddress> interface_addresses() {
  std::vector<config::IpAddress> addresses;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return addresses;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    const bool v4 = entry->ifa_addr->sa_family == AF_INET;
    if (!v4 && entry->ifa_addr->sa_family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ifa_addr, v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (const auto address = from_sockaddr(storage)) addresses.push_back(address->address);
  }
  return addresses;
}

bool is_interface_address(const config::IpAddress& address) {
  static thread_local std::vector<config::IpAddress> known;
  static thread_local Clock::time_point asked = Clock::time_point::min();
  const auto now = Clock::now();
  if (asked == Clock::time_point::min() || now - asked > kept_for) {
    known = interface_addresses();
    asked = now;
  }
  return std::ranges::find(known, address) != known.end();
}

}  // namespace postern::net
