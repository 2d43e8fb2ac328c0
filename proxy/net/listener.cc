#include "proxy/net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

namespace postern::net {

namespace {

constexpr int backlog = 4096;  // the kernel lowers it to net.core.somaxconn
constexpr std::chrono::milliseconds pause(100);

bool enable(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

// As BindOptions::transparent says.
std::optional<Error> make_transparent(int fd, bool v6) {
  if (enable(fd, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT)) return std::nullopt;
  return Error{Errc::io, std::string("a transparent socket needs root or CAP_NET_RAW: ") + std::strerror(errno)};
}

// `shared`: other sockets of ours may have the same address and port (SO_REUSEPORT).
Result<UniqueFd> bind_socket(const SocketAddress& at, bool shared, const BindOptions& options) {
  const bool v6 = at.address.family == config::IpAddress::Family::v6;
  UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return fail(Errc::io, std::string("socket: ") + std::strerror(errno));
  if (options.transparent) {
    if (auto error = make_transparent(fd.get(), v6)) return tl::unexpected(std::move(*error));
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
  if (endpoint.port != 0 && !options.beside_ours) {
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

Result<config::Endpoint> bound_to(const UniqueFd& socket) {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    return fail(Errc::invalid_argument, std::string("no socket: ") + std::strerror(errno));
  }
  sockaddr_storage storage{};
  size = sizeof storage;
  if (type != SOCK_STREAM || ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return fail(Errc::invalid_argument, "no stream socket");
  }
  config::Endpoint endpoint;
  if (storage.ss_family == AF_UNIX) {
    const auto& address = reinterpret_cast<const sockaddr_un&>(storage);
    const std::size_t most = size - offsetof(sockaddr_un, sun_path);
    endpoint.kind = config::Endpoint::Kind::unix_socket;
    endpoint.name = std::string(address.sun_path, ::strnlen(address.sun_path, most));
    if (endpoint.name.empty()) return fail(Errc::invalid_argument, "a unix socket without a path");
    return endpoint;
  }
  const auto address = from_sockaddr(storage);
  if (!address || address->port == 0) return fail(Errc::invalid_argument, "a socket that is bound to nothing");
  endpoint.kind = config::Endpoint::Kind::ip;
  endpoint.address = address->address;
  endpoint.port = address->port;
  return endpoint;
}

Result<BoundAddress> take_bound(UniqueFd socket, const BindOptions& options) {
  const auto at = bound_to(socket);
  if (!at) return tl::unexpected(at.error());
  if (at->kind != config::Endpoint::Kind::ip) return fail(Errc::invalid_argument, "no TCP socket");
  if (options.transparent) {
    const bool v6 = at->address.family == config::IpAddress::Family::v6;
    if (auto error = make_transparent(socket.get(), v6)) return tl::unexpected(std::move(*error));
  }
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0 ||
      ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0 || !enable(socket.get(), IPPROTO_TCP, TCP_NODELAY)) {
    return fail(Errc::io, std::strerror(errno));
  }
  BoundAddress bound{{at->address, at->port}, {}};
  bound.sockets.push_back(std::move(socket));
  return bound;
}

Result<UniqueFd> bind_unix(const std::string& path, OpenTo open_to) {
  const auto cannot = [&] { return fail(Errc::io, "cannot listen on unix:" + path + ": " + std::strerror(errno)); };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Errc::invalid_argument, "cannot listen on unix:" + path + ": the path is too long");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* const name = reinterpret_cast<const sockaddr*>(&address);
  {
    const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (probe.get() < 0) return cannot();
    struct stat there {};
    const bool refused = ::connect(probe.get(), name, sizeof address) != 0 && errno == ECONNREFUSED;
    // So does a file that is none of ours.
    if (refused && ::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) ::unlink(path.c_str());
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const mode_t mode = open_to == OpenTo::owner ? 0600 : 0666;
  // Before there is a path, which has that mode less what the umask takes away; and after it, without that.
  if (fd.get() < 0 || ::fchmod(fd.get(), mode) != 0 || ::bind(fd.get(), name, sizeof address) != 0) return cannot();
  if (::chmod(path.c_str(), mode) != 0) return cannot();
  return fd;
}

std::string_view to_string(AcceptError error) {
  switch (error) {
    case AcceptError::descriptors: return "descriptors";
    case AcceptError::system_descriptors: return "system_descriptors";
    case AcceptError::memory: return "memory";
    case AcceptError::aborted: return "aborted";
    case AcceptError::other: break;
  }
  return "other";
}

Listener::Listener(uv_loop_t* loop, UniqueFd socket, OnConnection on_connection, OnError on_error)
    : loop_(loop),
      socket_(std::move(socket)),
      on_connection_(std::move(on_connection)),
      on_error_(std::move(on_error)),
      pause_(loop, [this] { (void)watch(); }) {}

Listener::~Listener() {
  poll_.reset();  // before the descriptor goes
}

Result<std::unique_ptr<Listener>> Listener::start(uv_loop_t* loop, UniqueFd socket, OnConnection on_connection,
                                                  OnError on_error) {
  std::unique_ptr<Listener> listener(
      new Listener(loop, std::move(socket), std::move(on_connection), std::move(on_error)));
  if (const auto error = listener->listen()) return tl::unexpected(*error);
  return listener;
}

std::optional<Error> Listener::listen() {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  is_unix_ =
      ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0 && address.ss_family == AF_UNIX;
  if (::listen(socket_.get(), backlog) != 0) {
    return Error{Errc::io, std::string("cannot listen: ") + std::strerror(errno)};
  }
  auto poll = std::make_unique<uv_poll_t>();
  if (const int status = uv_poll_init(loop_, poll.get(), socket_.get()); status != 0) {
    return Error{Errc::io, std::string("cannot listen: ") + uv_strerror(status)};
  }
  poll->data = this;
  poll_.reset(poll.release());
  return watch();
}

std::optional<Error> Listener::watch() {
  const int status = uv_poll_start(poll_.get(), UV_READABLE, [](uv_poll_t* handle, int, int) noexcept {
    // Not all that wait: those whose sessions run have their turn, too.
    if (handle->data != nullptr) static_cast<Listener*>(handle->data)->accept(64);
  });
  if (status == 0) return std::nullopt;
  return Error{Errc::io, std::string("cannot listen: ") + uv_strerror(status)};
}

void Listener::accept_all() {
  accept(backlog);
}

void Listener::accept(int most) {
  for (int i = 0; i < most; ++i) {
    const int fd = accept_one();
    if (fd < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EINTR) continue;
      give_up(errno);
      if (!uv_is_active(reinterpret_cast<const uv_handle_t*>(poll_.get()))) break;
      continue;
    }
    StreamPtr connection = is_unix_ ? make_pipe(loop_) : make_tcp(loop_);
    const int opened = is_unix_ ? uv_pipe_open(reinterpret_cast<uv_pipe_t*>(connection.get()), fd)
                                : uv_tcp_open(reinterpret_cast<uv_tcp_t*>(connection.get()), fd);
    if (opened != 0) {
      ::close(fd);
      continue;
    }
    on_connection_(std::move(connection));
  }
  if (keeps_spare_) keep_spare();
}

int Listener::accept_one() {
  const auto accepted = [this] { return ::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); };
  const int fd = accepted();
  if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || spare_.get() < 0) return fd;
  spare_ = UniqueFd();
  return accepted();
}

void Listener::keep_spare() {
  keeps_spare_ = true;
  if (spare_.get() < 0) spare_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
}

void Listener::give_up(int error) {
  AcceptError reason = AcceptError::other;
  bool pauses = true;
  switch (error) {
    case EMFILE: reason = AcceptError::descriptors; break;
    case ENFILE: reason = AcceptError::system_descriptors; break;
    case ENOBUFS:
    case ENOMEM: reason = AcceptError::memory; break;
    case ECONNABORTED: reason = AcceptError::aborted, pauses = false; break;
    // Of the new connection alone (accept(2)): the next one may be well.
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH: pauses = false; break;
    default: break;  // and the socket stays readable
  }
  if (pauses) {
    uv_poll_stop(poll_.get());
    pause_.start(pause);
  }
  if (on_error_) on_error_(reason);
}

}  // namespace postern::net
