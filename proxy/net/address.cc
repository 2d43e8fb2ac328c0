#include "proxy/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "config/text.h"

namespace postern::net {

using config::IpAddress;

socklen_t to_sockaddr(const IpAddress& address, std::uint16_t port, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof out);
  if (address.family == IpAddress::Family::v4) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes.data(), 4);
    return sizeof(sockaddr_in);
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
  return sizeof(sockaddr_in6);
}

std::optional<SocketAddress> from_sockaddr(const sockaddr_storage& storage) {
  SocketAddress result;
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    result.address.family = IpAddress::Family::v4;
    std::memcpy(result.address.bytes.data(), &v4.sin_addr, 4);
    result.port = ntohs(v4.sin_port);
    return result;
  }
  if (storage.ss_family != AF_INET6) return std::nullopt;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  result.port = ntohs(v6.sin6_port);
  const auto* octets = reinterpret_cast<const std::uint8_t*>(&v6.sin6_addr);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    result.address.family = IpAddress::Family::v4;
    std::copy_n(octets + 12, 4, result.address.bytes.begin());
  } else {
    result.address.family = IpAddress::Family::v6;
    std::copy_n(octets, 16, result.address.bytes.begin());
  }
  return result;
}

namespace {
using NameOf = int (*)(const uv_tcp_t*, sockaddr*, int*);

std::optional<SocketAddress> ask(NameOf name_of, const uv_stream_t* stream) {
  if (stream->type != UV_TCP) return std::nullopt;
  sockaddr_storage storage{};
  int length = sizeof storage;
  if (name_of(reinterpret_cast<const uv_tcp_t*>(stream), reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return std::nullopt;
  }
  return from_sockaddr(storage);
}
}  // namespace

// A peer that has reset the connection is no peer any more; the kernel still knows who it was.
std::optional<SocketAddress> peer_address(const uv_stream_t* stream) {
  if (const auto peer = ask(uv_tcp_getpeername, stream)) return peer;
  uv_os_fd_t fd = -1;
  if (stream->type != UV_TCP || uv_fileno(reinterpret_cast<const uv_handle_t*>(stream), &fd) != 0) return std::nullopt;
  constexpr socklen_t sizes[] = {sizeof(sockaddr_in6), sizeof(sockaddr_in)};
  for (socklen_t length : sizes) {  // it gives nothing where less is there
    sockaddr_storage storage{};
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &storage, &length) == 0) return from_sockaddr(storage);
  }
  return std::nullopt;
}
std::optional<SocketAddress> local_address(const uv_stream_t* stream) {
  return ask(uv_tcp_getsockname, stream);
}

namespace {

constexpr std::string_view state_listen = "0A";

// "0100007F": words of 32 bits as they lie in memory.
std::optional<IpAddress> address_in(std::string_view text) {
  if (text.size() != 8 && text.size() != 32) return std::nullopt;
  IpAddress address;
  address.family = text.size() == 8 ? IpAddress::Family::v4 : IpAddress::Family::v6;
  for (std::size_t at = 0; at < text.size(); at += 8) {
    const auto word = config::whole_number<std::uint32_t>(text.substr(at, 8), 16);
    if (!word) return std::nullopt;
    std::memcpy(address.bytes.data() + at / 2, &*word, sizeof *word);
  }
  return address;
}

// sl local_address rem_address st queues timer retransmits uid timeout inode
std::array<std::string_view, 10> fields_of(std::string_view line) {
  std::array<std::string_view, 10> fields;
  for (std::string_view& field : fields) {
    line = config::trim(line);
    field = line.substr(0, line.find_first_of(" \t"));
    line.remove_prefix(field.size());
  }
  return fields;
}

std::optional<ListeningSocket> socket_in(std::string_view line) {
  const auto fields = fields_of(line);
  const std::string_view local = fields[1];
  const std::size_t colon = local.find(':');
  if (fields[3] != state_listen || colon == local.npos) return std::nullopt;
  const auto address = address_in(local.substr(0, colon));
  const auto port = config::whole_number<std::uint16_t>(local.substr(colon + 1), 16);
  if (!address || !port) return std::nullopt;
  ListeningSocket socket;
  socket.at.address = *address;
  socket.at.port = *port;
  socket.inode = config::whole_number<std::uint64_t>(fields[9]).value_or(0);
  return socket;
}

}  // namespace

std::vector<ListeningSocket> listening_sockets_in(std::string_view table) {
  std::vector<ListeningSocket> found;
  while (!table.empty()) {
    const std::size_t size = std::min(table.find('\n'), table.size());
    if (auto socket = socket_in(table.substr(0, size))) found.push_back(std::move(*socket));
    table.remove_prefix(std::min(size + 1, table.size()));
  }
  return found;
}

std::string to_string(const SocketAddress& address) {
  const std::string text = config::to_string(address.address);
  const std::string port = std::to_string(address.port);
  return address.address.family == IpAddress::Family::v6 ? "[" + text + "]:" + port : text + ":" + port;
}

}  // namespace postern::net
