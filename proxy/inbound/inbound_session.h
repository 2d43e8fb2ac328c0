// A client from outside in front of a plaintext server.
#pragma once

#include <optional>

#include "proxy/inbound/backend_dialer.h"
#include "proxy/inbound/backend_pool.h"
#include "proxy/session/session.h"
#include "proxy/wire/proxy_protocol.h"

namespace postern::inbound {

class InboundSession final : public session::Session {
 public:
  // `listener` is one of the runtime's, `pool` what the worker knows of the servers behind it.
  InboundSession(session::Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime,
                 const runtime::Inbound& listener, std::shared_ptr<BackendPool> pool, std::uint64_t id,
                 net::StreamPtr client);

 private:
  const config::InboundListener& settings() const { return listener_.settings; }

  void on_client() override;
  void on_early_bytes(std::string_view bytes) override;
  void on_early_end(Early how) override;
  bool welcome(std::string_view first_bytes) override;
  void dial() override;
  bool dial_timed_out() override;
  void release_server() override;
  Result<std::unique_ptr<tls::Engine>> make_engine(smtp::Side side) override;
  void on_tls_up(smtp::Side side) override;
  void ask_policy(std::string_view) override {}  // an inbound dialogue asks for none
  const config::Listener& listener() const override { return settings(); }
  const tls::ServerContext* client_tls() const override { return listener_.tls; }
  limits::Tally& tally() const override { return listener_.tally; }
  std::string_view direction() const override { return "inbound"; }

  void no_header(std::string reason);
  void begin_dialogue(bool is_client = true);
  void dial_program();
  void on_program(Result<net::StreamPtr> socket);
  void adopt(BackendDialer::Connected connected);
  std::string proxy_header() const;

  const runtime::Inbound& listener_;  // of the runtime that we hold
  std::shared_ptr<BackendPool> pool_;
  std::unique_ptr<BackendDialer> dialer_;
  std::unique_ptr<programs::Client::Program> program_;  // about to start, or the server
  std::optional<std::size_t> pooled_;
  std::unique_ptr<std::string> proxy_header_;  // of the balancer in front, as far as it came
  wire::ProxyHeaderWatch header_watch_;        // over a client that may send none
  bool dial_after_handshake_ = false;          // the server is to learn TLS facts that are not there yet
};

}  // namespace postern::inbound
