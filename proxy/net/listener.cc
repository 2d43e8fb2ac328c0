#include "proxy/net/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::net {

namespace {

constexpr int backlog = 4096;  // the kernel lowers it to net.core.somaxconn

bool enable(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

// `shared`: other sockets of ours may have the same address and port (SO_REUSEPORT).
Result<UniqueFd> bind_socket(const SocketAddress& at, bool shared, const BindOptions& options) {
  const bool v6 = at.address.family == config::IpAddress::Family::v6;
  UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return fail(Errc::io, std::string("socket: ") + std::strerror(errno));
  if (options.transparent && !enable(fd.get(), v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT)) {
    return fail(Errc::io, std::string("a transparent socket needs root or CAP_NET_RAW: ") + std::strerror(errno));
  }
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(at.address, at.port, storage);
  // IPV6_V6ONLY: "[::]:25" beside "0.0.0.0:25" is the usual configuration.
  if (!enable(fd.get(), SOL_SOCKET, SO_REUSEADDR) || (shared && !enable(fd.get(), SOL_SOCKET, SO_REUSEPORT)) ||
      !enable(fd.get(), IPPROTO_TCP, TCP_NODELAY) || (v6 && !enable(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY)) ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    return fail(Errc::io, std::strerror(errno));
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return 0;
  const auto address = from_sockaddr(storage);
  return address ? address->port : 0;
}

}  // namespace

Result<BoundAddress> bind_address(const config::Endpoint& endpoint, unsigned count, const BindOptions& options) {
  const auto cannot = [&](const Error& error) {
    return fail(error.code, "cannot listen on " + config::to_string(endpoint) + ": " + error.message);
  };
  BoundAddress bound{{endpoint.address, endpoint.port}, {}};
  // SO_REUSEPORT would let a second gateway of the same user share the port without a word; two gateways on one port
  // are a mistake, so one socket is bound without it, as a probe.
  if (endpoint.port != 0) {
    const auto probe = bind_socket(bound.address, false, options);
    if (!probe) return cannot(probe.error());
  }
  for (unsigned i = 0; i < count; ++i) {
    auto fd = bind_socket(bound.address, true, options);
    if (!fd) return cannot(fd.error());
    bound.address.port = port_of(fd->get());
    bound.sockets.push_back(std::move(*fd));
  }
  return bound;
}

Result<std::unique_ptr<Listener>> Listener::start(uv_loop_t* loop, UniqueFd socket, OnConnection on_connection) {
  std::unique_ptr<Listener> listener(new Listener(std::move(on_connection)));
  listener->handle_ = make_tcp(loop);
  auto* tcp = reinterpret_cast<uv_tcp_t*>(listener->handle_.get());
  int status = uv_tcp_open(tcp, socket.get());
  if (status == 0) {
    socket.release();
    tcp->data = listener.get();
    status = uv_listen(listener->handle_.get(), backlog, [](uv_stream_t* handle, int error) noexcept {
      if (handle->data != nullptr && error == 0) static_cast<Listener*>(handle->data)->accept();
    });
  }
  if (status != 0) return fail(Errc::io, std::string("cannot listen: ") + uv_strerror(status));
  return listener;
}

void Listener::accept() {
  StreamPtr connection = make_tcp(handle_->loop);
  if (uv_accept(handle_.get(), connection.get()) == 0) on_connection_(std::move(connection));
}

}  // namespace postern::net
