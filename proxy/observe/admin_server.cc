#include "proxy/observe/admin_server.h"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/observe/log.h"
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

  // It has asked elsewhere.
  void has_asked() {
    asked_ = true;
    is_http_ = false;
  }
  std::uint64_t id() const { return id_; }
  bool is_late(std::uint64_t now) const { return now >= deadline_; }

  // Once.
  void answer(const Page& page) {
    auto write = std::make_unique<WriteRequest>();
    write->bytes = is_http_ ? wire::print_http_response(page.status, page.type, page.body, page.policy) : page.body;
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
    server_.ask(id_, request->path, request->query);
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
  bool is_http_ = true;
  bool asked_ = false;
  bool written_ = false;  // all of the answer
  bool ended_ = false;    // the client says no more
};

AdminServer::AdminServer(Serve serve, std::function<void()> tick)
    : serve_(std::move(serve)), tick_(std::move(tick)), sweeper_(loop_.raw(), [this] { sweep(); }) {}

Result<std::unique_ptr<AdminServer>> AdminServer::make(UniqueFd socket, Serve serve, std::function<void()> tick) {
  std::unique_ptr<AdminServer> server(new AdminServer(std::move(serve), std::move(tick)));
  server->sweeper_.start(sweep_interval);
  if (socket.get() < 0) return server;
  if (auto begun = server->listen(std::move(socket)); !begun) return tl::unexpected(begun.error());
  return server;
}

Result<void> AdminServer::listen(UniqueFd socket) {
  auto listener = net::Listener::start(loop_.raw(), std::move(socket),
                                       [this](net::StreamPtr connection) { accept(std::move(connection)); });
  if (!listener) return tl::unexpected(listener.error());
  listener_ = std::move(*listener);
  listener_->keep_spare();
  return {};
}

void AdminServer::listen_on(UniqueFd socket) {
  auto held = std::make_shared<UniqueFd>(std::move(socket));  // a task of the loop is copyable, a socket is not
  loop_.post([this, held] {
    listener_.reset();
    if (held->get() < 0) return;
    const auto begun = listen(std::move(*held));
    if (!begun) log::error("the admin server cannot listen", {{"reason", begun.error().message}});
  });
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

void AdminServer::tell(UniqueFd connection, std::string path, std::string query) {
  auto held = std::make_shared<UniqueFd>(std::move(connection));
  loop_.post([this, held, path = std::move(path), query = std::move(query)] {
    if (connections_.size() >= connection_limit) return;
    net::StreamPtr socket = net::make_pipe(loop_.raw());
    if (uv_pipe_open(reinterpret_cast<uv_pipe_t*>(socket.get()), held->get()) != 0) return;
    (void)held->release();
    connections_.push_back(std::make_unique<Connection>(*this, std::move(socket), next_));
    connections_.back()->has_asked();
    ask(next_++, path, query);
  });
}

void AdminServer::ask(std::uint64_t id, std::string_view path, std::string_view query) {
  serve_(path, query, [this, id](Page page) { loop_.post([this, id, page = std::move(page)] { answer(id, page); }); });
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
