#include "proxy/observe/admin_server.h"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/wire/http_request.h"

namespace postern::observe {

namespace {
constexpr std::chrono::milliseconds sweep_interval(1'000);
}

// Reads a request, then writes what it is answered, then reads to the client's end.
class AdminServer::Connection {
 public:
  Connection(AdminServer& server, net::StreamPtr socket, std::uint64_t id)
      : server_(server), socket_(std::move(socket)), id_(id), deadline_(deadline_of(server)) {
    socket_->data = this;
    uv_read_start(
        socket_.get(),
        [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
          auto* self = static_cast<Connection*>(handle->data);
          *buffer = self == nullptr ? uv_buf_init(nullptr, 0)
                                    : uv_buf_init(self->bytes_.data(), static_cast<unsigned>(self->bytes_.size()));
        },
        [](uv_stream_t* handle, ssize_t count, const uv_buf_t* buffer) noexcept {
          auto* self = static_cast<Connection*>(handle->data);
          if (self != nullptr && count != 0) self->on_read(count, buffer->base);
        });
  }

  std::uint64_t id() const { return id_; }
  bool is_late(std::uint64_t now) const { return now >= deadline_; }

  // Once.
  void answer(const Page& page) {
    response_ = wire::print_http_response(page.status, page.type, page.body);
    const uv_buf_t bytes = uv_buf_init(response_.data(), static_cast<unsigned>(response_.size()));
    write_.data = this;
    if (uv_write(&write_, socket_.get(), &bytes, 1, [](uv_write_t*, int) noexcept {}) != 0) return server_.close(*this);
    // Behind what is written; the client's own end, or the deadline, ends it.
    auto request = std::make_unique<uv_shutdown_t>();
    if (uv_shutdown(request.get(), socket_.get(), [](uv_shutdown_t* done, int) noexcept { delete done; }) == 0) {
      (void)request.release();
    }
  }

  // The box frees the handle later; the request of a write that is cut short is told before that.
  void drop(std::unique_ptr<Connection> self) {
    uv_stream_t* const raw = socket_.release();
    raw->data = self.release();
    uv_close(reinterpret_cast<uv_handle_t*>(raw), [](uv_handle_t* closed) {
      const std::unique_ptr<Connection> gone(static_cast<Connection*>(closed->data));
      if (closed->type == UV_TCP) {
        delete reinterpret_cast<uv_tcp_t*>(closed);
      } else {
        delete reinterpret_cast<uv_pipe_t*>(closed);
      }
    });
  }

 private:
  static std::uint64_t deadline_of(const AdminServer& server) {
    return server.loop_.now() + static_cast<std::uint64_t>(patience.count());
  }

  void on_read(ssize_t count, const char* bytes) {
    if (count < 0) return server_.close(*this);
    if (asked_) return;  // whatever it may be
    const auto request = reader_.feed({bytes, static_cast<std::size_t>(count)});
    if (!request) return;
    asked_ = true;
    if (request->status != 200) return answer({request->status, "text/plain; charset=utf-8", "refused\n"});
    server_.serve_(request->path, [&server = server_, id = id_](Page page) {
      server.loop_.post([&server, id, page = std::move(page)] { server.answer(id, page); });
    });
  }

  AdminServer& server_;
  net::StreamPtr socket_;
  std::uint64_t id_;
  std::uint64_t deadline_;
  wire::HttpRequestReader reader_;
  std::array<char, 2048> bytes_{};
  std::string response_;  // until it is written
  uv_write_t write_{};
  bool asked_ = false;
};

AdminServer::AdminServer(Serve serve, std::function<void()> tick)
    : serve_(std::move(serve)), tick_(std::move(tick)), sweeper_(loop_.raw(), [this] { sweep(); }) {}

Result<std::unique_ptr<AdminServer>> AdminServer::make(UniqueFd socket, Serve serve, std::function<void()> tick) {
  std::unique_ptr<AdminServer> server(new AdminServer(std::move(serve), std::move(tick)));
  auto* const raw = server.get();
  auto listener = net::Listener::start(raw->loop_.raw(), std::move(socket),
                                       [raw](net::StreamPtr connection) { raw->accept(std::move(connection)); });
  if (!listener) return tl::unexpected(listener.error());
  server->listener_ = std::move(*listener);
  server->sweeper_.start(sweep_interval);
  return server;
}

void AdminServer::run() {
  thread_ = std::thread([this] { loop_.run(); });
}

AdminServer::~AdminServer() {
  if (!thread_.joinable()) return;
  loop_.post([this] {
    listener_.reset();
    while (!connections_.empty()) close(*connections_.back());
    loop_.stop();
  });
  thread_.join();
}

void AdminServer::accept(net::StreamPtr socket) {
  if (connections_.size() >= connection_limit) return;
  connections_.push_back(std::make_unique<Connection>(*this, std::move(socket), next_++));
}

void AdminServer::answer(std::uint64_t id, const Page& page) {
  const auto found = std::ranges::find(connections_, id, [](const auto& each) { return each->id(); });
  if (found != connections_.end()) (*found)->answer(page);
}

void AdminServer::close(const Connection& connection) {
  const auto found = std::ranges::find(connections_, &connection, [](const auto& each) { return each.get(); });
  if (found == connections_.end()) return;
  auto closing = std::move(*found);
  connections_.erase(found);
  Connection& gone = *closing;
  gone.drop(std::move(closing));
}

void AdminServer::sweep() {
  sweeper_.start(sweep_interval);
  const std::uint64_t now = loop_.now();
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (connections_[i]->is_late(now)) close(*connections_[i]);
  }
  if (tick_) tick_();
}

}  // namespace postern::observe
