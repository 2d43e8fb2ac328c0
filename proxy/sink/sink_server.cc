#include "proxy/sink/sink_server.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <unordered_map>

#include "proxy/net/address.h"
#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "proxy/net/signal.h"
#include "proxy/observe/log_line.h"
#include "proxy/process/file_limit.h"

namespace postern::sink {
namespace {

class SinkServer;

class Connection {
 public:
  Connection(SinkServer& server, net::StreamPtr socket, std::unique_ptr<SinkSession> session)
      : server_(server), socket_(std::move(socket)), session_(std::move(session)) {
    socket_->data = this;
  }

  void start() {
    session_->greet(replies_);
    send_replies();
  }

 private:
  struct WriteRequest {
    uv_write_t request{};
    std::string bytes;
  };

  void on_read(ssize_t count, const char* bytes);
  void send_replies();
  void queue(std::string bytes);
  void on_written(int status);
  void resume();
  void close();

  SinkServer& server_;
  net::StreamPtr socket_;
  std::unique_ptr<SinkSession> session_;
  std::string replies_;  // of this turn; what the kernel does not take moves into a WriteRequest
  bool closing_ = false;
};

class SinkServer {
 public:
  SinkServer(const SinkOptions& options, std::unique_ptr<Maildir> maildir)
      : options_(options),
        maildir_(std::move(maildir)),
        on_stored_([this](const Envelope& envelope, std::uint64_t size, const std::string& name) {
          print(envelope, size, name);
        }) {
    loop_.at_end_of_turn([this] { retired_.clear(); });
  }

  Result<void> listen();
  void stop_on(int signal);
  void run() { loop_.run(); }

  void retire(Connection& connection) {
    const auto found = connections_.find(&connection);
    if (found == connections_.end()) return;
    retired_.push_back(std::move(found->second));
    connections_.erase(found);
  }
  uv_buf_t read_buffer() { return uv_buf_init(scratch_.data(), static_cast<unsigned>(scratch_.size())); }

 private:
  void on_connection(net::StreamPtr socket);
  void print(const Envelope& envelope, std::uint64_t size, const std::string& name);

  const SinkOptions& options_;
  std::unique_ptr<Maildir> maildir_;
  SinkSession::OnStored on_stored_;
  std::array<char, 128 * 1024> scratch_{};  // reading of every connection; nothing is kept in it between callbacks
  net::Loop loop_;
  std::vector<std::unique_ptr<net::Signal>> signals_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> retired_;  // freed at the end of the turn, out of their own callbacks
};

void Connection::on_read(ssize_t count, const char* bytes) {
  if (count < 0) {
    close();
  } else if (count > 0) {
    session_->on_bytes({bytes, static_cast<std::size_t>(count)}, replies_);
    send_replies();
  }
}

void Connection::send_replies() {
  std::string bytes = std::exchange(replies_, {});
  if (!bytes.empty()) {
    const uv_buf_t buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
    const int sent = uv_try_write(socket_.get(), &buffer, 1);
    if (sent < 0 && sent != UV_EAGAIN) return close();
    if (sent > 0) bytes.erase(0, static_cast<std::size_t>(sent));
  }
  if (bytes.empty()) return resume();
  queue(std::move(bytes));
}

// The kernel is full: a client that does not read its replies is not read from either, until they are gone.
void Connection::queue(std::string bytes) {
  uv_read_stop(socket_.get());
  auto owner = std::make_unique<WriteRequest>();
  owner->bytes = std::move(bytes);
  owner->request.data = owner.get();
  const uv_buf_t buffer = uv_buf_init(owner->bytes.data(), static_cast<unsigned>(owner->bytes.size()));
  const int status = uv_write(&owner->request, socket_.get(), &buffer, 1, [](uv_write_t* request, int result) noexcept {
    const std::unique_ptr<WriteRequest> done(static_cast<WriteRequest*>(request->data));
    if (request->handle->data != nullptr) static_cast<Connection*>(request->handle->data)->on_written(result);
  });
  if (status != 0) return close();
  static_cast<void>(owner.release());  // libuv has it now, and the callback takes it back
}

void Connection::on_written(int status) {
  if (status != 0) return close();
  resume();
}

void Connection::resume() {
  if (session_->over()) return close();
  const int status = uv_read_start(
      socket_.get(),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
        auto* self = static_cast<Connection*>(handle->data);
        *buffer = self == nullptr ? uv_buf_init(nullptr, 0) : self->server_.read_buffer();
      },
      [](uv_stream_t* handle, ssize_t count, const uv_buf_t* buffer) noexcept {
        auto* self = static_cast<Connection*>(handle->data);
        if (self != nullptr) self->on_read(count, buffer->base);
      });
  if (status != 0 && status != UV_EALREADY) close();
}

void Connection::close() {
  if (std::exchange(closing_, true)) return;
  uv_read_stop(socket_.get());
  server_.retire(*this);
}

Result<void> SinkServer::listen() {
  for (const config::Endpoint& endpoint : options_.listen) {
    auto bound = net::bind_address(endpoint, 1);
    if (!bound) return tl::unexpected(bound.error());
    auto listener = net::Listener::start(loop_.raw(), std::move(bound->sockets.front()),
                                         [this](net::StreamPtr socket) { on_connection(std::move(socket)); });
    if (!listener) return tl::unexpected(listener.error());
    listeners_.push_back(std::move(*listener));
    std::printf("listening on %s\n", net::to_string(bound->address).c_str());
  }
  std::fflush(stdout);
  return {};
}

void SinkServer::stop_on(int signal) {
  signals_.push_back(std::make_unique<net::Signal>(loop_.raw(), signal, [this] { loop_.stop(); }));
}

void SinkServer::on_connection(net::StreamPtr socket) {
  const auto peer = net::peer_address(socket.get());
  auto session = std::make_unique<SinkSession>(options_.capabilities, *maildir_,
                                               peer ? net::to_string(*peer) : std::string(), on_stored_);
  auto connection = std::make_unique<Connection>(*this, std::move(socket), std::move(session));
  Connection& started = *connection;
  connections_.emplace(&started, std::move(connection));
  started.start();
}

void SinkServer::print(const Envelope& envelope, std::uint64_t size, const std::string& name) {
  if (options_.quiet) return;
  const std::array<log::Field, 7> fields{{{"from", envelope.from},
                                          {"recipients", envelope.recipients.size()},
                                          {"size", size},
                                          {"via", envelope.chunked ? "BDAT" : "DATA"},
                                          {"client", envelope.client},
                                          {"helo", envelope.helo},
                                          {"file", options_.maildir.empty() ? std::string_view() : name}}};
  std::string line;
  log::append_text(line, "message", fields);
  std::puts(line.c_str());
  std::fflush(stdout);
}

}  // namespace

Result<void> run_sink(const SinkOptions& options) {
  process::raise_file_limit();
  auto maildir = Maildir::open(options.maildir, options.sync);
  if (!maildir) return tl::unexpected(maildir.error());
  const auto server = std::make_unique<SinkServer>(options, std::move(*maildir));
  server->stop_on(SIGTERM);
  server->stop_on(SIGINT);
  if (auto listening = server->listen(); !listening) return listening;
  server->run();
  return {};
}

}  // namespace postern::sink
