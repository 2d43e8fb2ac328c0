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
    auto write = std::make_unique<WriteRequest>();
    write->bytes = wire::print_http_response(page.status, page.type, page.body);
    const uv_buf_t bytes = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
    const int status = uv_write(&write->request, socket_.get(), &bytes, 1,
                                [](uv_write_t* done, int) noexcept { delete reinterpret_cast<WriteRequest*>(done); });
    if (status != 0) return server_.close(*this);
    (void)write.release();
    // Behind what is written; then the client's own end, or the deadline, ends it.
    auto request = std::make_unique<uv_shutdown_t>();
    const auto on_shutdown = [](uv_shutdown_t* done, int) noexcept {
      const std::unique_ptr<uv_shutdown_t> gone(done);
      auto* self = static_cast<Connection*>(done->handle->data);
      if (self != nullptr) self->on_written();
    };
    if (uv_shutdown(request.get(), socket_.get(), on_shutdown) == 0) (void)request.release();
  }

 private:
  static std::uint64_t deadline_of(const AdminServer& server) {
    return server.loop_.now() + static_cast<std::uint64_t>(patience.count());
  }

  struct WriteRequest {
    uv_write_t request{};  // first, so that one is the other
    std::string bytes;
  };

  // Who has asked and will say no more still gets an answer.
  void on_read(ssize_t count, const char* bytes) {
    if (count == UV_EOF && asked_ && !written_) {
      ended_ = true;
      return;
    }
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

  void on_written() {
    written_ = true;
    if (ended_) server_.close(*this);
  }

  AdminServer& server_;
  net::StreamPtr socket_;
  std::uint64_t id_;
  std::uint64_t deadline_;
  wire::HttpRequestReader reader_;
  std::array<char, 2048> bytes_{};
  bool asked_ = false;
  bool written_ = false;  // all of the answer
  bool ended_ = false;    // the client says no more
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
  server->listener_->keep_spare();
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
  connections_.erase(found);
  if (listener_) listener_->keep_spare();
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
