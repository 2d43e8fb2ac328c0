#include "proxy/net/presence.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace postern::net {

Presence presence_of_peer(const uv_stream_t* stream) {
  uv_os_fd_t descriptor = -1;
  if (uv_fileno(reinterpret_cast<const uv_handle_t*>(stream), &descriptor) != 0) return Presence::there;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return Presence::there;  // no TCP
  if (info.tcpi_state == TCP_CLOSE) return Presence::gone;
  return info.tcpi_state == TCP_CLOSE_WAIT ? Presence::leaving : Presence::there;
}

void discard_received(const uv_stream_t* stream) {
  constexpr std::size_t most = 64 * 1024;
  uv_os_fd_t descriptor = -1;
  if (uv_fileno(reinterpret_cast<const uv_handle_t*>(stream), &descriptor) != 0) return;
  (void)!recv(descriptor, nullptr, most, MSG_DONTWAIT | MSG_TRUNC);  // of TCP: thrown away, and copied nowhere
}

}  // namespace postern::net
