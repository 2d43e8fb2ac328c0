#include "proxy/init/listening.h"

#include <algorithm>
#include <utility>

#include "proxy/net/address.h"

namespace postern::init {
std::vector<Listening> parse_listening(std::string_view table) {
  std::vector<Listening> found;
  for (net::ListeningSocket& each : net::listening_sockets_in(table)) {
    if (each.inode == 0) continue;  // nobody could be found to have it
    Listening& socket = found.emplace_back();
    socket.at = std::move(each.at);
    socket.inode = each.inode;
  }
  return found;
}

std::uint16_t free_port_from(std::uint16_t wanted, const std::vector<Listening>& listening) {
  const auto is_taken = [&listening](std::uint16_t port) {
    return std::ranges::any_of(
        listening, [port](const Listening& each) { return each.at.port == port && each.program != "postern"; });
  };
  std::uint16_t port = wanted;
  while (port < 65535 && is_taken(port)) ++port;
  return port;
}

const Listening* Facts::listener_on(std::uint16_t port) const {
  const auto found = std::ranges::find_if(listening, [port](const auto& each) { return each.at.port == port; });
  return found == listening.end() ? nullptr : &*found;
}

}  // namespace postern::init
