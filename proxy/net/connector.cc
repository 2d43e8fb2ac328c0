#include "proxy/net/connector.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/net/listener.h"

namespace postern::net {

namespace {
constexpr std::size_t max_addresses = 8;  // of one host name

// A connect request lives until its callback, which comes even after the handle was closed.
struct ConnectRequest {
  uv_connect_t request{};
};

// A socket that will seem to come from `source`.
Result<UniqueFd> transparent_socket(const SocketAddress& source) {
  const bool v6 = source.address.family == config::IpAddress::Family::v6;
  UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  sockaddr_storage storage;
  const socklen_t length = to_sockaddr(source.address, source.port, storage);
  if (fd.get() < 0 ||
      ::setsockopt(fd.get(), v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof on) != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    return fail(Errc::io, "cannot use the client's address " + to_string(source) + ": " + std::strerror(errno));
  }
  return fd;
}
}  // namespace

struct Connector::Lookup {
  uv_getaddrinfo_t request{};
  Connector* owner = nullptr;
  std::uint16_t port = 0;
};

Result<std::unique_ptr<Connector>> Connector::start(uv_loop_t* loop, const config::Endpoint& endpoint,
                                                    std::optional<SocketAddress> source, OnDone on_done) {
  std::unique_ptr<Connector> connector(new Connector(loop, source, std::move(on_done)));
  std::optional<Error> error;
  switch (endpoint.kind) {
    case config::Endpoint::Kind::ip: error = connector->connect_ip({endpoint.address, endpoint.port}); break;
    case config::Endpoint::Kind::name: error = connector->resolve(endpoint.name, endpoint.port); break;
    case config::Endpoint::Kind::unix_socket: error = connector->connect_unix(endpoint.name); break;
  }
  if (error) return tl::unexpected<Error>(*error);
  return connector;
}

Connector::~Connector() {
  if (lookup_ == nullptr) return;
  lookup_->owner = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&lookup_->request));
}

std::optional<Error> Connector::resolve(const std::string& name, std::uint16_t port) {
  auto lookup = std::make_unique<Lookup>();
  lookup->owner = this;
  lookup->port = port;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  const int status = uv_getaddrinfo(
      loop_, &lookup->request,
      [](uv_getaddrinfo_t* request, int result, addrinfo* found) noexcept {
        const std::unique_ptr<Lookup> self(reinterpret_cast<Lookup*>(request));
        const std::unique_ptr<addrinfo, decltype(&uv_freeaddrinfo)> list(found, uv_freeaddrinfo);
        if (self->owner == nullptr) return;
        self->owner->lookup_ = nullptr;
        self->owner->on_resolved(result, list.get(), self->port);
      },
      name.c_str(), nullptr, &hints);
  if (status != 0) return Error{Errc::io, name + ": " + uv_strerror(status)};
  lookup_ = lookup.release();
  return std::nullopt;
}

void Connector::on_resolved(int status, const addrinfo* found, std::uint16_t port) {
  for (; status == 0 && found != nullptr && targets_.size() < max_addresses; found = found->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, found->ai_addr, std::min<std::size_t>(found->ai_addrlen, sizeof storage));
    if (auto address = from_sockaddr(storage)) targets_.push_back({address->address, port});
  }
  std::reverse(targets_.begin(), targets_.end());
  try_next(status != 0 ? uv_strerror(status) : "the name has no address");
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
  if (source_) {
    if (source_->address.family != target.address.family) {
      return Error{Errc::invalid_argument, "the client's address and the server's are of different families"};
    }
    auto fd = transparent_socket(*source_);
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
