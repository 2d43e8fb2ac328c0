#include "proxy/stream/errand.h"

#include <utility>

namespace postern::stream {

Errand::Errand(const Means& means, std::chrono::milliseconds patience)
    : means_(means),
      timer_(means.loop.raw(),
             [this] {
               if (!finished_) on_failed(Step::time, "no answer in time");
             }),
      alive_(std::make_shared<Errand*>(this)) {
  timer_.start(patience);
}

Errand::~Errand() {
  if (!stream_) return;
  stream_->drop();
  means_.bury(std::move(stream_));
}

void Errand::connect(const net::SocketAddress& address, const net::ConnectOptions& options) {
  config::Endpoint endpoint;
  endpoint.address = address.address;
  endpoint.port = address.port;
  auto started = net::Connector::start(means_.loop.raw(), endpoint, options,
                                       [this](Result<net::StreamPtr> socket) { connected(std::move(socket)); });
  if (started) {
    connector_ = std::move(*started);
  } else {
    fail_later(Step::connect, started.error().message);
  }
}

void Errand::fail_later(Step step, std::string why) {
  means_.loop.post([alive = std::weak_ptr(alive_), step, reason = std::move(why)] {
    const auto self = alive.lock();
    if (self && !(*self)->finished_) (*self)->on_failed(step, reason);
  });
}

void Errand::connected(Result<net::StreamPtr> socket) {
  connector_.reset();
  if (!socket) return on_failed(Step::connect, socket.error().message);
  stream_ = std::make_unique<Stream>(*this, means_.scratch.first, std::move(*socket));
  stream_->set_reading(true);
  on_connected();
}

void Errand::start_tls(const tls::ClientContext& context, const tls::ClientContext::Target& target) {
  flush();
  auto engine = context.connect(target);
  std::optional<Error> error;
  if (engine) {
    error = stream_->start_tls(std::move(*engine));
  } else {
    error = engine.error();
  }
  if (!error) return;
  stream_->set_reading(false);  // what still comes in plaintext is nobody's
  fail_later(Step::tls, error->message);
}

void Errand::finish(std::function<void()> task) {
  if (std::exchange(finished_, true)) return;
  timer_.stop();
  connector_.reset();
  if (stream_) (void)stream_->finish();
  means_.loop.post([alive = std::weak_ptr(alive_), done = std::move(task)] {
    if (alive.lock()) done();
  });
}

void Errand::on_bytes(Stream&, std::string_view bytes) {
  if (!finished_) on_plaintext(bytes);
}

void Errand::on_handshake(Stream&, Result<tls::SessionFacts> facts) {
  if (finished_) return;
  if (facts) {
    on_secured(std::move(*facts));
  } else {
    on_failed(Step::tls, facts.error().message);
  }
}

void Errand::on_end(Stream&, std::string_view error) {
  if (finished_) return;
  if (error.empty() && stream_->peer_said_goodbye()) return on_goodbye();
  if (error.empty()) return on_closed();
  on_failed(Step::talk, std::string(error));
}

}  // namespace postern::stream
