// A connection that the gateway makes for itself, for one purpose, and then closes: a probe, a policy to be fetched.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/net/connector.h"
#include "proxy/net/loop.h"
#include "proxy/net/timer.h"
#include "proxy/stream/stream.h"
#include "tls/client_context.h"

namespace postern::stream {

class Errand : public Stream::Owner {
 public:
  // All outlive the errand.
  struct Means {
    net::Loop& loop;
    Scratch& scratch;
    const std::function<void(std::unique_ptr<Stream>)>& bury;  // what must outlive the callback that ended it
  };

  virtual ~Errand();
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

 protected:
  enum class Step : std::uint8_t { connect, tls, talk, time };

  // `patience`: for the whole of it, unless be_patient() begins anew.
  Errand(const Means& means, std::chrono::milliseconds patience);

  // Answered by on_connected or on_failed, later.
  void connect(const net::SocketAddress& address, const net::ConnectOptions& options);
  // Answered by on_secured or on_failed.
  void start_tls(const tls::ClientContext& context, const tls::ClientContext::Target& target);
  void be_patient(std::chrono::milliseconds patience) { timer_.start(patience); }
  void send(std::string_view bytes) { stream_->send(bytes); }
  void flush() { (void)stream_->flush(); }
  // Says goodbye and hears nothing more; `task` runs later, from the loop, and may destroy the errand.
  void finish(std::function<void()> task);
  bool finished() const { return finished_; }
  const Stream& stream() const { return *stream_; }

  virtual void on_connected() = 0;
  virtual void on_secured(tls::SessionFacts facts) = 0;
  virtual void on_plaintext(std::string_view bytes) = 0;
  virtual void on_failed(Step step, std::string why) = 0;
  // The peer has closed, after the connection was made and TLS began, and said so within TLS.
  virtual void on_goodbye() { on_closed(); }
  // The peer has closed, after the connection was made, and nobody says why.
  virtual void on_closed() { on_failed(Step::talk, "the server closed the connection"); }

 private:
  void on_bytes(Stream& stream, std::string_view bytes) final;
  void on_handshake(Stream& stream, Result<tls::SessionFacts> facts) final;
  void on_end(Stream& stream, std::string_view error) final;
  void on_drained(Stream&) final {}
  void connected(Result<net::StreamPtr> socket);
  void fail_later(Step step, std::string why);

  Means means_;
  std::unique_ptr<net::Connector> connector_;
  std::unique_ptr<Stream> stream_;
  net::Timer timer_;
  std::shared_ptr<Errand*> alive_;  // what was posted to the loop holds it weakly
  bool finished_ = false;
};

}  // namespace postern::stream
