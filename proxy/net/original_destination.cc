#include "proxy/net/original_destination.h"

#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "config/unique_fd.h"

namespace postern::net {

namespace {
// From linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h, which do not go with netinet/in.h.
constexpr int so_original_dst = 80;
constexpr int ip6t_so_original_dst = 80;
}  // namespace

Result<SocketAddress> redirected_destination(const uv_stream_t* stream) {
  uv_os_fd_t fd = -1;
  const auto local = local_address(stream);
  if (!local || uv_fileno(reinterpret_cast<const uv_handle_t*>(stream), &fd) != 0) {
    return fail(Errc::not_found, "not a TCP connection");
  }
  // A client over IPv4 on an IPv6 socket was redirected by the IPv4 rules.
  const bool v4 = local->address.family == config::IpAddress::Family::v4;
  sockaddr_storage storage{};
  socklen_t length = v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (::getsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? so_original_dst : ip6t_so_original_dst, &storage, &length) != 0) {
    return fail(Errc::not_found, std::string("the connection was not redirected here: ") + std::strerror(errno));
  }
  const auto address = from_sockaddr(storage);
  if (!address) return fail(Errc::not_found, "the kernel gives an address of an unknown family");
  return *address;
}

// Only an address of one's own can be bound. By TCP, as a gateway in its sandbox makes no UDP socket; no port is taken.
bool is_local_address(const config::IpAddress& address) {
  const bool v6 = address.family == config::IpAddress::Family::v6;
  const UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  (void)::setsockopt(fd.get(), SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(address, 0, storage);
  return fd.get() >= 0 && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0;
}

}  // namespace postern::net
