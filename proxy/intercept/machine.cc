#include "proxy/intercept/machine.h"

#include <algorithm>
#include <utility>

#include "config/file.h"
#include "proxy/intercept/reach.h"
#include "proxy/net/address.h"
#include "proxy/net/interface_addresses.h"
#include "proxy/process/privileges.h"

namespace postern::intercept {

namespace {

using config::Endpoint;

constexpr std::size_t most_octets = std::size_t{4} << 20U;  // who listens stands before the rest

}  // namespace

Machine look_at_machine(const config::Settings& settings) {
  Machine machine{net::interface_addresses(), {}};
  if (settings.user.empty()) return machine;
  if (const auto user = process::find_user(settings.user)) machine.user = user->uid;
  return machine;
}

std::vector<Endpoint> listening_in(std::string_view table) {
  std::vector<Endpoint> found;
  for (net::ListeningSocket& each : net::listening_sockets_in(table)) found.push_back(std::move(each.at));
  return found;
}

std::vector<Endpoint> listening_now() {
  std::vector<Endpoint> found;
  for (const char* path : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    const auto table = config::read_beginning(path, most_octets);
    if (!table) continue;
    const auto listening = listening_in(table->content);
    found.insert(found.end(), listening.begin(), listening.end());
  }
  return found;
}

std::vector<Endpoint> deaf(const Plan& plan, const std::vector<Endpoint>& listening) {
  std::vector<Endpoint> found;
  for (const Catch& one : plan.catches) {
    for (const auto& at : {one.v4, one.v6}) {
      const auto serves = [&at](const Endpoint& other) {
        return other.port == at->port && other.address.family == at->address.family &&
               (other.address == at->address || is_any(other.address));
      };
      if (at && std::ranges::none_of(listening, serves)) found.push_back(*at);
    }
  }
  return found;
}

}  // namespace postern::intercept
