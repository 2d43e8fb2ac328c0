#include "proxy/intercept/reach.h"

#include <algorithm>
#include <iterator>

#include "config/settings.h"
#include "config/text.h"

namespace postern::intercept {

namespace {

using config::IpAddress;
using config::Network;

Network single(const IpAddress& address) {
  return {address, address.family == IpAddress::Family::v4 ? 32U : 128U};
}

bool covers(const Network& outer, const Network& inner) {
  return outer.prefix_length <= inner.prefix_length && config::contains(outer, inner.address);
}

}  // namespace

bool is_link_local(const IpAddress& address) {
  if (address.family == IpAddress::Family::v4) return address.bytes[0] == 169 && address.bytes[1] == 254;
  return address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0U) == 0x80U;
}

bool is_covered(const Network& network, const std::vector<Network>& networks) {
  return std::ranges::any_of(networks, [&network](const Network& outer) { return covers(outer, network); });
}

std::vector<Network> without_covered(const std::vector<Network>& networks) {
  std::vector<Network> sorted = networks;
  // The widest first: what it holds comes behind it.
  std::ranges::stable_sort(sorted, {}, &Network::prefix_length);
  std::vector<Network> kept;
  for (const Network& network : sorted) {
    if (!is_covered(network, kept)) kept.push_back(network);
  }
  return kept;
}

std::vector<Network> networks_of_others(const std::vector<Network>& networks, const std::vector<IpAddress>& own) {
  std::vector<Network> others;
  const auto is_own = [&own](const Network& network) {
    return is_covered(network, config::loopback_networks()) ||
           std::ranges::any_of(own, [&network](const IpAddress& address) { return network == single(address); });
  };
  std::ranges::remove_copy_if(networks, std::back_inserter(others), is_own);
  return others;
}

std::optional<config::Endpoint> landing(const std::vector<config::Endpoint>& listen, IpAddress::Family family,
                                        const Catch& one) {
  std::optional<config::Endpoint> found;
  for (const config::Endpoint& at : listen) {
    if (at.kind != config::Endpoint::Kind::ip || at.address.family != family || at.port == 0) continue;
    if (is_any(at.address)) return at;
    // The kernel does not route what comes from outside to a loopback address; tproxy does without routing.
    const bool reached = !is_loopback(at.address) || !one.router || one.by == config::Interception::tproxy;
    if (reached && !found) found = at;
  }
  return found;
}

std::string listed_networks(const std::vector<Network>& networks) {
  std::vector<std::string> texts;
  const auto text_of = [](const Network& network) { return config::to_string(network); };
  std::ranges::transform(networks, std::back_inserter(texts), text_of);
  return config::listed(texts);
}

std::string listed_ports(const std::vector<std::uint16_t>& ports) {
  std::vector<std::string> texts;
  std::ranges::transform(ports, std::back_inserter(texts), [](std::uint16_t port) { return std::to_string(port); });
  return config::listed(texts);
}

}  // namespace postern::intercept
