#include "proxy/inbound/inbound_session.h"

#include <utility>

#include "config/assert.h"
#include "proxy/inbound/ucspi.h"
#include "proxy/smtp/inbound_dialogue.h"
#include "tls/client_context.h"
#include "tls/server_context.h"

namespace postern::inbound {

using smtp::Ending;
using smtp::Side;
using smtp::Timer;

InboundSession::InboundSession(session::Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime,
                               const runtime::Inbound& listener, std::shared_ptr<BackendPool> pool, std::uint64_t id,
                               net::StreamPtr client)
    : session::Session(surroundings, std::move(runtime), id, std::move(client)),
      listener_(listener),
      pool_(std::move(pool)) {}

// --- the beginning

// A listed balancer speaks first; until its header is whole nothing else happens. From others a header is refused.
void InboundSession::on_client() {
  if (!contains(settings().accept_proxy_protocol_from, record_.client.address)) return begin_dialogue();
  proxy_header_ = std::make_unique<std::string>();
  arm(Timer::handshake);
  client_.set_reading(true);
}

void InboundSession::on_early_bytes(std::string_view bytes) {
  proxy_header_->append(bytes);
  const auto header = wire::parse_proxy_header(*proxy_header_);
  if (!header) return no_header(header.error().message);
  if (!*header) {
    if (proxy_header_->size() >= wire::max_proxy_header) no_header("the PROXY header is too long");
    return;
  }
  const bool is_client = (*header)->addresses.has_value();
  if (is_client) record_.client = {(*header)->addresses->source, (*header)->addresses->source_port};
  const std::string rest = proxy_header_->substr((*header)->size);
  proxy_header_.reset();
  header_watch_.end();
  begin_dialogue(is_client);
  if (!rest.empty() && !over()) client_.feed(rest);
}

void InboundSession::on_early_end(Early how) {
  const std::string what = proxy_header_->empty() ? "no PROXY header came" : "the PROXY header was not whole";
  if (how == Early::closed) return no_header(what + " before the client closed");
  no_header(what + " within " + config::to_string(settings().tls.handshake_timeout) + " (handshake_timeout)");
}

void InboundSession::no_header(std::string reason) {
  record_.reason = std::move(reason);
  finish(Ending::proxy_protocol);
}

// Only what is plaintext: a balancer's header would come before TLS.
bool InboundSession::welcome(std::string_view bytes) {
  if (header_watch_.over() || client_.engine() != nullptr || !header_watch_.sees_header(bytes)) return true;
  no_header("a PROXY header from an address that accept_proxy_protocol_from does not list");
  return false;
}

void InboundSession::begin_dialogue(bool is_client) {
  if (!admit(is_client)) return;
  smtp::InboundFacts facts;
  facts.listener = &settings();
  facts.hostname = runtime_->hostname;
  facts.client_address = &record_.client.address;
  facts.client_port = record_.client.port;
  facts.tls_available = tls_available();
  facts.notes_envelopes = runtime_->settings.log.envelope;
  begin(std::make_unique<smtp::InboundDialogue>(facts, &gate()));
}

// --- TLS

Result<std::unique_ptr<tls::Engine>> InboundSession::make_engine(Side side) {
  if (side == Side::client) {
    POSTERN_ASSERT(listener_.tls != nullptr, "TLS was asked for on a listener that has none");
    return listener_.tls->make_engine(record_.client.address);
  }
  const auto* const context = listener_.backend_tls;
  POSTERN_ASSERT(context != nullptr, "TLS was asked for toward a backend that has none");
  const auto endpoint = pooled_ ? pool_->endpoint(*pooled_) : config::Endpoint{};
  return context->make_engine(endpoint.kind == config::Endpoint::Kind::name ? endpoint.name : "");
}

void InboundSession::on_tls_up(Side side) {
  if (side == Side::server && settings().backend.tls == config::TlsMode::implicit) return connected();
  dialogue_->on_tls(side, *(side == Side::client ? record_.client_tls : record_.server_tls), effects());
  carry_out();
  if (side == Side::client && std::exchange(dial_after_handshake_, false) && !over()) dial();
}

// --- the server

void InboundSession::dial() {
  const auto& backend = settings().backend;
  const bool tells_tls = !backend.exec.empty() || backend.client_address == config::ClientAddress::proxy_v2;
  if (tells_tls && settings().mode == config::TlsMode::implicit && !record_.client_tls) {
    dial_after_handshake_ = true;
    return;
  }
  record_.note_dialing(around_.loop.now());
  if (!backend.exec.empty()) return dial_program();
  std::optional<net::SocketAddress> source;
  if (backend.client_address == config::ClientAddress::transparent) source = record_.client;
  dialer_ = std::make_unique<BackendDialer>(around_.loop.raw(), *pool_, around_.resolver, source,
                                            [this](Result<BackendDialer::Connected> result) {
                                              dialer_.reset();
                                              if (result) {
                                                adopt(std::move(*result));
                                              } else {
                                                connect_failed(result.error().message);
                                              }
                                              pump();
                                            });
  if (const auto error = dialer_->dial()) connect_failed(error->message);
}

bool InboundSession::dial_timed_out() {
  if (program_ && !server_) record_.reason = settings().backend.exec[0] + ": the program took too long to start";
  if (!dialer_) return false;
  const auto error = dialer_->next_after_timeout();
  if (!error) return true;
  record_.reason = error->message;
  dialer_.reset();
  return false;
}

void InboundSession::dial_program() {
  if (around_.programs == nullptr) return connect_failed("no program can be started here");
  const auto local = net::local_address(client_.socket()).value_or(net::SocketAddress{});
  auto program = around_.programs->start(
      listener_.settings.name, ucspi_environment(local, record_.client, runtime_->hostname, record_.client_tls.get()),
      [this](Result<net::StreamPtr> socket) { on_program(std::move(socket)); });
  if (!program) return connect_failed(program.error().message);
  program_ = std::move(*program);
}

void InboundSession::on_program(Result<net::StreamPtr> socket) {
  if (socket) {
    adopt({std::move(*socket), settings().backend.exec[0], std::nullopt});
  } else {
    connect_failed(socket.error().message);
  }
  pump();
}

void InboundSession::adopt(BackendDialer::Connected result) {
  record_.note_connection(result.name, around_.loop.now());
  pooled_ = result.pooled;
  adopt_server(std::move(result.socket));
  const std::string header = proxy_header();
  server_->send(header);
  flush();
  if (settings().backend.tls == config::TlsMode::implicit) {
    start_tls(Side::server);  // the dialogue is told once that is over
  } else {
    connected();
  }
}

std::string InboundSession::proxy_header() const {
  const auto mode = settings().backend.client_address;
  if (mode != config::ClientAddress::proxy_v1 && mode != config::ClientAddress::proxy_v2) return {};
  const auto local = net::local_address(client_.socket()).value_or(net::SocketAddress{});
  const wire::ProxyAddresses addresses{record_.client.address, local.address, record_.client.port, local.port};
  if (mode == config::ClientAddress::proxy_v1) return wire::print_proxy_v1(addresses);
  std::optional<wire::ProxyTls> tls;
  if (record_.client_tls) {
    const auto& facts = *record_.client_tls;
    const bool verified = facts.verification == tls::Verification::verified;
    tls = wire::ProxyTls{facts.version, facts.cipher, facts.sni, facts.peer_common_name, !facts.peer_subject.empty(),
                         verified};
  }
  return wire::print_proxy_v2(addresses, tls);
}

void InboundSession::release_server() {
  dialer_.reset();
  dial_after_handshake_ = false;
  // A program that has lost its client finds the end of its input first, and may have something left to do, after a
  // QUIT above all (Exim starts deliveries). One that is dropped within the session is to do nothing more.
  constexpr std::uint64_t patience_at_the_end = 5'000;
  std::uint64_t patience = record_.ending ? patience_at_the_end : 0;
  if (record_.ending == Ending::quit) patience = net::ChildReaper::kill_after;
  if (program_) {
    program_->give_up();
    around_.reaper.take(std::move(program_), around_.loop.now(), patience);
  }
  if (pooled_) pool_->released(*pooled_);
  pooled_.reset();
}

}  // namespace postern::inbound
