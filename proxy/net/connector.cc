#include "proxy/net/connector.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "config/unique_fd.h"

namespace postern::net {

namespace {
// A connect request lives until its callback, which comes even after the handle was closed.
struct ConnectRequest {
  uv_connect_t request{};
};

bool set_option(const UniqueFd& fd, int level, int option, int value) {
  return ::setsockopt(fd.get(), level, option, &value, sizeof value) == 0;
}

// Gives the socket its mark and the address that it will come from.
std::optional<Error> prepare(const UniqueFd& fd, bool v6, const ConnectOptions& options) {
  if (options.mark != 0 && !set_option(fd, SOL_SOCKET, SO_MARK, static_cast<int>(options.mark))) {
    return Error{Errc::io, std::string("cannot set socket_mark (CAP_NET_ADMIN is needed): ") + std::strerror(errno)};
  }
  if (!options.source) return std::nullopt;
  const bool bare = !options.transparent;
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(options.source->address, options.source->port, storage);
  if ((bare || set_option(fd, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, 1)) &&
      set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
      (options.source->port != 0 || set_option(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)) &&
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0) {
    return std::nullopt;
  }
  const std::string whose = bare ? "the source address " : "the client's address ";
  return Error{Errc::io, "cannot use " + whose + to_string(*options.source) + ": " + std::strerror(errno)};
}

Result<UniqueFd> prepared_socket(bool v6, const ConnectOptions& options) {
  UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return fail(Errc::io, std::string("socket: ") + std::strerror(errno));
  if (auto error = prepare(fd, v6, options)) return tl::unexpected(std::move(*error));
  return fd;
}
}  // namespace

Result<std::unique_ptr<Connector>> Connector::start(uv_loop_t* loop, const config::Endpoint& endpoint,
                                                    const ConnectOptions& options, OnDone on_done) {
  std::unique_ptr<Connector> connector(new Connector(loop, options, std::move(on_done)));
  std::optional<Error> error;
  switch (endpoint.kind) {
    case config::Endpoint::Kind::ip: error = connector->connect_ip({endpoint.address, endpoint.port}); break;
    case config::Endpoint::Kind::name: error = connector->resolve(endpoint.name, endpoint.port); break;
    case config::Endpoint::Kind::unix_socket: error = connector->connect_unix(endpoint.name); break;
  }
  if (error) return tl::unexpected<Error>(*error);
  return connector;
}

std::optional<SocketAddress> Connector::local_address() const {
  return handle_ ? net::local_address(handle_.get()) : std::nullopt;
}

std::optional<Error> Connector::resolve(const std::string& name, std::uint16_t port) {
  if (options_.names == nullptr) return Error{Errc::unsupported, name + ": nobody looks up host names here"};
  lookup_ = options_.names->look_up(name, [this, port](Result<std::vector<config::IpAddress>> found) {
    lookup_.reset();
    if (!found) return try_next(found.error().message);
    for (const config::IpAddress& address : *found) targets_.push_back({address, port});
    std::reverse(targets_.begin(), targets_.end());
    try_next("the name has no address");
  });
  return std::nullopt;
}

void Connector::try_next(std::string last_error) {
  while (!targets_.empty()) {
    const SocketAddress target = targets_.back();
    targets_.pop_back();
    const auto error = connect_ip(target);
    if (!error) return;
    last_error = error->message;
  }
  done(fail(Errc::io, std::move(last_error)));
}

std::optional<Error> Connector::connect_unix(const std::string& path) {
  handle_ = make_pipe(loop_);
  handle_->data = this;
  auto request = std::make_unique<ConnectRequest>();
  // Never fails at once: libuv reports through the callback.
  uv_pipe_connect(&request.release()->request, reinterpret_cast<uv_pipe_t*>(handle_.get()), path.c_str(),
                  [](uv_connect_t* done_request, int status) noexcept {
                    const std::unique_ptr<ConnectRequest> self(reinterpret_cast<ConnectRequest*>(done_request));
                    auto* owner = static_cast<Connector*>(done_request->handle->data);
                    if (owner != nullptr) owner->on_connected(status);
                  });
  return std::nullopt;
}

std::optional<Error> Connector::connect_ip(const SocketAddress& target) {
  handle_ = make_tcp(loop_);
  auto* tcp = reinterpret_cast<uv_tcp_t*>(handle_.get());
  ConnectOptions options = options_;
  const bool fits = !options.source || options.source->address.family == target.address.family;
  if (!fits && options.transparent) {
    return Error{Errc::invalid_argument, "the client's address and the server's are of different families"};
  }
  if (!fits) options.source.reset();
  if (options.source || options.mark != 0) {
    auto fd = prepared_socket(target.address.family == config::IpAddress::Family::v6, options);
    if (!fd) return fd.error();
    if (const int status = uv_tcp_open(tcp, fd->get()); status != 0) return Error{Errc::io, uv_strerror(status)};
    fd->release();
  }
  sockaddr_storage storage;
  to_sockaddr(target.address, target.port, storage);
  auto request = std::make_unique<ConnectRequest>();
  const int status =
      uv_tcp_connect(&request->request, tcp, reinterpret_cast<const sockaddr*>(&storage),
                     [](uv_connect_t* done_request, int result) noexcept {
                       const std::unique_ptr<ConnectRequest> self(reinterpret_cast<ConnectRequest*>(done_request));
                       auto* owner = static_cast<Connector*>(done_request->handle->data);
                       if (owner != nullptr) owner->on_connected(result);
                     });
  if (status != 0) return Error{Errc::io, uv_strerror(status)};
  (void)request.release();
  handle_->data = this;
  uv_tcp_nodelay(tcp, 1);
  return std::nullopt;
}

void Connector::on_connected(int status) {
  if (status != 0) return try_next(uv_strerror(status));
  handle_->data = nullptr;
  done(std::move(handle_));
}

void Connector::done(Result<StreamPtr> result) {
  // The callback may destroy us; nothing of ours is touched after it.
  const OnDone on_done = std::move(on_done_);
  on_done(std::move(result));
}

}  // namespace postern::net
