// An HTTPS server on 127.0.0.1, in the test's own loop, that answers what the test wants, and what a client of it
// needs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "proxy/stream/errand.h"
#include "proxy/stream/stream.h"
#include "tests/support/turn_until.h"
#include "tests/tls/engine_pair.h"

namespace postern::session::policy_host {

using test_support::CertificateWish;
using test_support::make_certificate;
using test_support::TempDirectory;
using test_support::TestCertificate;
using test_support::turn_until;

inline std::string http_ok(const std::string& body, const std::string& type = "text/plain") {
  return "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

inline const TestCertificate& test_ca() {
  static const TestCertificate ca = make_certificate({.common_name = "Test CA", .is_ca = true});
  return ca;
}

// Issued by test_ca for that name.
inline TestCertificate certificate_for(const std::string& name) {
  return make_certificate({.common_name = "", .dns_names = {name}, .issuer = &test_ca()});
}

inline std::shared_ptr<const tls::TrustStore> trust_in_test_ca() {
  static const auto trust = tls::engine_pair::load_trust(test_ca());
  return trust;
}

class PolicyHost {
 public:
  enum class After : std::uint8_t { stay, close, cut };  // the response; cut: without TLS's own goodbye

  PolicyHost(net::Loop& loop, const TestCertificate& certificate)
      : loop_(loop),
        context_(
            tls::engine_pair::make_server(tls::engine_pair::server_options({tls::engine_pair::load(certificate)}))) {
    config::Endpoint endpoint;
    endpoint.address = *config::parse_ip_address("127.0.0.1");
    auto bound = net::bind_address(endpoint, 1);
    REQUIRE(bound.has_value());
    address = bound->address;
    auto started = net::Listener::start(loop_.raw(), std::move(bound->sockets[0]),
                                        [this](net::StreamPtr socket) { accept(std::move(socket)); });
    REQUIRE(started.has_value());
    listener_ = std::move(*started);
  }

  net::SocketAddress address;
  std::string response;  // empty: silence
  After after = After::stay;
  bool speaks_tls = true;

  std::vector<std::string> requests;  // that came, whole
  std::vector<std::string> names;     // by SNI, of each handshake
  std::size_t ends = 0;               // of connections, by the client
  std::size_t connections() const { return connections_.size(); }

  void answer_with(std::string bytes, After then = After::stay) {
    response = std::move(bytes);
    after = then;
  }
  // Gives those their answer who wait for it in silence.
  void answer_now(const std::string& bytes) {
    answer_with(bytes);
    for (const auto& connection : connections_) connection->answer_if_asked();
  }

 private:
  struct Connection final : stream::Stream::Owner {
    Connection(PolicyHost& of, net::StreamPtr socket) : host(of), stream(*this, of.scratch_.first, std::move(socket)) {
      stream.set_reading(true);
      if (host.speaks_tls) {
        (void)stream.start_tls(std::move(*host.context_->make_engine()));
      } else {
        stream.send(host.response);
        (void)stream.flush();
      }
    }
    void on_bytes(stream::Stream&, std::string_view bytes) override {
      request += bytes;
      answer_if_asked();
    }
    void on_handshake(stream::Stream&, Result<tls::SessionFacts> facts) override {
      if (facts) host.names.push_back(facts->sni);
    }
    void on_end(stream::Stream&, std::string_view) override { ++host.ends; }
    void on_drained(stream::Stream&) override {}
    void answer_if_asked() {
      if (!request.ends_with("\r\n\r\n") || answered || !host.speaks_tls) return;
      if (!seen) host.requests.push_back(request);
      seen = true;
      if (host.response.empty()) return;
      answered = true;
      stream.send(host.response);
      (void)stream.flush();
      if (host.after == After::close) (void)stream.finish();
      // The callback that we are in goes on using the stream, so it is cut later.
      if (host.after == After::cut) host.loop_.post([this] { stream.drop(); });
    }
    PolicyHost& host;
    stream::Stream stream;
    std::string request;
    bool seen = false;
    bool answered = false;
  };

  void accept(net::StreamPtr socket) { connections_.push_back(std::make_unique<Connection>(*this, std::move(socket))); }

  net::Loop& loop_;
  stream::Scratch scratch_;
  std::unique_ptr<tls::ServerContext> context_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

// What a worker has for its errands.
struct ErrandWorker {
  net::Loop loop;
  stream::Scratch scratch;
  std::unique_ptr<tls::ClientContext> tls = std::move(*tls::ClientContext::make({}));
  std::vector<std::unique_ptr<stream::Stream>> buried;
  std::function<void(std::unique_ptr<stream::Stream>)> bury = [this](std::unique_ptr<stream::Stream> dead) {
    buried.push_back(std::move(dead));
  };

  ErrandWorker() {
    loop.at_end_of_turn([this] { buried.clear(); });
  }
  stream::Errand::Means means() { return {loop, scratch, bury}; }
};

// A port of 127.0.0.1 that lets nobody in and turns nobody away: its queue of connections is full.
class DeadEnd {
 public:
  DeadEnd() {
    sockaddr_storage storage;
    const socklen_t length = net::to_sockaddr(address_.address, 0, storage);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0);
    REQUIRE(::listen(listener_.get(), 0) == 0);
    socklen_t size = sizeof storage;
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&storage), &size) == 0);
    address_ = *net::from_sockaddr(storage);
    for (int i = 0; i < 3; ++i) {
      fill_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(fill_.back().get(), reinterpret_cast<const sockaddr*>(&storage), length);
    }
  }
  const net::SocketAddress& address() const { return address_; }

 private:
  net::SocketAddress address_{*config::parse_ip_address("127.0.0.1"), 0};
  UniqueFd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::vector<UniqueFd> fill_;
};

}  // namespace postern::session::policy_host
