// Addresses between the configuration's values and the kernel's structures.
#pragma once

#include <sys/socket.h>
#include <uv.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "config/values.h"

namespace postern::net {

struct SocketAddress {
  config::IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const SocketAddress&) const = default;
};

// Fills a sockaddr of the address's family; returns its length.
socklen_t to_sockaddr(const config::IpAddress& address, std::uint16_t port, sockaddr_storage& out);
// Nothing for a family other than IPv4 and IPv6. An IPv4-mapped IPv6 address becomes IPv4.
std::optional<SocketAddress> from_sockaddr(const sockaddr_storage& storage);

// Of a connected TCP socket; nothing for other kinds.
std::optional<SocketAddress> peer_address(const uv_stream_t* stream);
std::optional<SocketAddress> local_address(const uv_stream_t* stream);

// Who accepts connections, as a table of the kernel has it.
struct ListeningSocket {
  config::Endpoint at = {};  // Endpoint::Kind::ip
  std::uint64_t inode = 0;   // 0: the line does not say
};
// /proc/net/tcp or tcp6 (proc(5)): those in state LISTEN. Lines that are none are passed over.
std::vector<ListeningSocket> listening_sockets_in(std::string_view table);

std::string to_string(const SocketAddress& address);  // "127.0.0.1:25", "[::1]:25"

}  // namespace postern::net
