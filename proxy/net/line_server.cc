#include "proxy/net/line_server.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/net/timer.h"

namespace postern::net {

class LineServer::Caller {
 public:
  Caller(LineServer& server, StreamPtr connection, std::uint64_t id)
      : server_(server),
        connection_(std::move(connection)),
        id_(id),
        late_(server.loop_, [this] { server_.drop(*this); }) {
    connection_->data = this;
    late_.start(server_.bounds_.patience);
    uv_read_start(
        connection_.get(),
        [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
          auto* self = static_cast<Caller*>(handle->data);
          *buffer = self == nullptr ? uv_buf_init(nullptr, 0)
                                    : uv_buf_init(self->octets_.data(), static_cast<unsigned>(self->octets_.size()));
        },
        [](uv_stream_t* handle, ssize_t count, const uv_buf_t* buffer) noexcept {
          auto* self = static_cast<Caller*>(handle->data);
          if (self != nullptr && count != 0) self->on_read(count, buffer->base);
        });
  }

  std::uint64_t id() const { return id_; }

  void answer(std::string text) {
    if (!std::exchange(waits_, false)) return;
    late_.start(server_.bounds_.patience);
    answer_ = std::move(text);
    write_.data = this;
    const uv_buf_t octets = uv_buf_init(answer_.data(), static_cast<unsigned>(answer_.size()));
    const int status = uv_write(&write_, connection_.get(), &octets, 1, [](uv_write_t* request, int) noexcept {
      auto* self = static_cast<Caller*>(request->data);
      if (!self->gone_) self->server_.drop(*self);
    });
    if (status != 0) server_.drop(*this);
  }

  UniqueFd duplicate() const {
    uv_os_fd_t fd = -1;
    if (!waits_ || uv_fileno(reinterpret_cast<const uv_handle_t*>(connection_.get()), &fd) != 0) return {};
    return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  }

  // It is freed with its handle: a write that is cut short is told before that.
  void leave(std::unique_ptr<Caller> self) {
    gone_ = true;
    late_.stop();
    uv_stream_t* const raw = connection_.release();
    raw->data = self.release();
    uv_close(reinterpret_cast<uv_handle_t*>(raw), [](uv_handle_t* closed) {
      const std::unique_ptr<Caller> caller(static_cast<Caller*>(closed->data));
      closed->data = nullptr;
      if (closed->type == UV_TCP) {
        delete reinterpret_cast<uv_tcp_t*>(closed);
      } else {
        delete reinterpret_cast<uv_pipe_t*>(closed);
      }
    });
  }

 private:
  // What follows the line is not read, and an end of the input that follows it is no reason not to answer.
  void on_read(ssize_t count, const char* octets) {
    if (count < 0) return server_.drop(*this);
    line_.append(octets, static_cast<std::size_t>(count));
    const std::size_t end = line_.find('\n');
    if (std::min(end, line_.size()) > server_.bounds_.line) return server_.drop(*this);
    if (end == std::string::npos) return;
    uv_read_stop(connection_.get());
    late_.stop();
    waits_ = true;
    line_.resize(end > 0 && line_[end - 1] == '\r' ? end - 1 : end);
    server_.on_line_(line_, id_);
  }

  LineServer& server_;
  StreamPtr connection_;
  std::uint64_t id_;
  Timer late_;
  std::array<char, 128> octets_{};
  std::string line_;
  std::string answer_;  // until it is written
  uv_write_t write_{};
  bool waits_ = false;  // for an answer
  bool gone_ = false;
};

LineServer::LineServer(uv_loop_t* loop, Bounds bounds, OnLine on_line)
    : loop_(loop), bounds_(bounds), on_line_(std::move(on_line)) {}

Result<std::unique_ptr<LineServer>> LineServer::start(uv_loop_t* loop, UniqueFd socket, Bounds bounds, OnLine on_line) {
  std::unique_ptr<LineServer> server(new LineServer(loop, bounds, std::move(on_line)));
  auto listener = Listener::start(loop, std::move(socket),
                                  [raw = server.get()](StreamPtr connection) { raw->accept(std::move(connection)); });
  if (!listener) return tl::unexpected(listener.error());
  server->listener_ = std::move(*listener);
  return server;
}

LineServer::~LineServer() {
  listener_.reset();
  while (!callers_.empty()) drop(*callers_.back());
}

void LineServer::accept(StreamPtr connection) {
  if (callers_.size() >= bounds_.callers) return;
  callers_.push_back(std::make_unique<Caller>(*this, std::move(connection), next_++));
}

LineServer::Caller* LineServer::find(std::uint64_t id) const {
  const auto found = std::ranges::find(callers_, id, [](const auto& each) { return each->id(); });
  return found == callers_.end() ? nullptr : found->get();
}

void LineServer::answer(std::uint64_t caller, std::string text) {
  if (auto* const found = find(caller)) found->answer(std::move(text));
}

UniqueFd LineServer::take(std::uint64_t caller) {
  const auto* const found = find(caller);
  if (found == nullptr) return {};
  UniqueFd connection = found->duplicate();
  drop(*found);
  return connection;
}

void LineServer::drop(const Caller& caller) {
  const auto found = std::ranges::find(callers_, &caller, [](const auto& each) { return each.get(); });
  if (found == callers_.end()) return;
  auto leaving = std::move(*found);
  callers_.erase(found);
  Caller& gone = *leaving;
  gone.leave(std::move(leaving));
}

}  // namespace postern::net
