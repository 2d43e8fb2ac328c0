// Whose connections, and where they can be led to: addresses and networks, compared. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/values.h"
#include "proxy/intercept/plan.h"

namespace postern::intercept {

bool is_link_local(const config::IpAddress& address);  // fe80::/10, 169.254.0.0/16

// All of `network` is in one of `networks`.
bool is_covered(const config::Network& network, const std::vector<config::Network>& networks);
// Those that are in no other one, each once: nft takes no overlapping ones.
std::vector<config::Network> without_covered(const std::vector<config::Network>& networks);
// Without loopback, and without single addresses that are this machine's own.
std::vector<config::Network> networks_of_others(const std::vector<config::Network>& networks,
                                                const std::vector<config::IpAddress>& own);

// Which of the addresses that are listened on such connections can be led to; the one for all addresses where there is
// one. Nothing: none.
std::optional<config::Endpoint> landing(const std::vector<config::Endpoint>& listen, config::IpAddress::Family family,
                                        const Catch& one);

// Sorted, each once.
template <class Value>
void tidy(std::vector<Value>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

std::string listed_networks(const std::vector<config::Network>& networks);
std::string listed_ports(const std::vector<std::uint16_t>& ports);

}  // namespace postern::intercept
