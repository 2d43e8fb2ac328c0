#include "proxy/session/session.h"

#include <utility>

#include "config/assert.h"
#include "proxy/session/ucspi.h"
#include "proxy/wire/proxy_protocol.h"
#include "tls/client_context.h"
#include "tls/server_context.h"

namespace postern::session {

using smtp::Ending;
using smtp::Side;
using smtp::Timer;

namespace {
constexpr auto closing_time = std::chrono::seconds(5);
constexpr std::uint64_t drain_patience = 5'000;  // milliseconds that an idle client has to find out by its next command
}  // namespace

Session::Session(Surroundings& surroundings, std::shared_ptr<const Runtime> runtime, ServedListener& listener,
                 std::uint64_t id, net::StreamPtr client)
    : around_(surroundings),
      runtime_(std::move(runtime)),
      listener_(listener),
      client_(Side::client, *this, surroundings.scratch, std::move(client)) {
  record_.id = id;
  record_.started = around_.loop.now();
}

Session::~Session() = default;

// --- the beginning

void Session::start() {
  around_.counters.sessions.add();
  const auto peer = net::peer_address(client_.socket());
  if (!peer) return retire();  // gone before we looked
  record_.client = *peer;
  if (!contains(settings().accept_proxy_protocol_from, peer->address)) return begin();
  arm(Timer::handshake);
  client_.set_reading(true);
}

// A listed balancer speaks first; until its header is whole nothing else happens (semantics: no header, no session).
void Session::take_proxy_header(std::string_view bytes) {
  held_.append(bytes);
  const auto header = wire::parse_proxy_header(held_);
  if (!header) return refuse_proxy_header(header.error().message);
  if (!*header) {
    if (held_.size() >= wire::max_proxy_header) refuse_proxy_header("the PROXY header is too long");
    return;
  }
  if ((*header)->addresses) {
    record_.client = {(*header)->addresses->source, (*header)->addresses->source_port};
  }
  const std::string rest = held_.substr((*header)->size);
  held_ = {};
  begin();
  if (!rest.empty() && !finishing_ && !retired_) client_.feed(rest);
}

void Session::refuse_proxy_header(std::string reason) {
  record_.reason = std::move(reason);
  finish(Ending::proxy_protocol);
}

void Session::begin() {
  smtp::InboundFacts facts;
  facts.listener = &settings();
  facts.hostname = runtime_->hostname;
  facts.client_address = record_.client.address;
  facts.client_port = record_.client.port;
  facts.tls_available =
      settings().mode == config::TlsMode::none || runtime_->contexts->server(listener_.index) != nullptr;
  dialogue_.emplace(facts);
  dialogue_->start(around_.effects);
  carry_out();
  pump();
}

// --- events

void Session::on_bytes(Side side, std::string_view bytes) {
  if (finishing_ || retired_) return;
  if (!dialogue_) return take_proxy_header(bytes);
  if (side == Side::client) return offer(bytes);
  dialogue_->on_server_bytes(bytes, around_.effects);
  carry_out();
  pump();
}

void Session::offer(std::string_view bytes) {
  if (client_.bytes_in() == bytes.size() && wire::looks_like_proxy_header(bytes)) {
    return refuse_proxy_header("a PROXY header from an address that accept_proxy_protocol_from does not list");
  }
  if (!held_.empty()) {
    held_.append(bytes);
  } else {
    const std::size_t taken = dialogue_->on_client_bytes(bytes, around_.effects);
    carry_out();  // before `bytes` goes
    held_.assign(bytes.substr(taken));
  }
  pump();
}

void Session::feed_held() {
  held_taken_ += dialogue_->on_client_bytes(std::string_view(held_).substr(held_taken_), around_.effects);
  carry_out();
  if (held_taken_ < held_.size()) return;
  held_ = {};
  held_taken_ = 0;
}

void Session::on_handshake(Side side, Result<tls::SessionFacts> facts) {
  if (finishing_ || retired_) return;
  (facts ? around_.counters.tls_handshakes : around_.counters.tls_handshake_failures).add();
  if (!facts) {
    record_.reason = facts.error().message;
    dialogue_->on_tls_failed(side, around_.effects);
  } else {
    if (facts->resumed) around_.counters.tls_resumed.add();
    auto& kept = side == Side::client ? record_.client_tls : record_.backend_tls;
    kept = std::make_unique<tls::SessionFacts>(std::move(*facts));
    if (side == Side::backend && settings().backend.tls == config::TlsMode::implicit) {
      dialogue_->on_connected(around_.effects);
    } else {
      dialogue_->on_tls(side, *kept, around_.effects);
    }
  }
  carry_out();
  if (side == Side::client && dial_after_handshake_ && !finishing_) {
    dial_after_handshake_ = false;
    dial();
  }
  pump();
}

void Session::on_end(Side side, std::string_view error) {
  if (retired_) return;
  if (finishing_) {
    if (side == Side::client && (!error.empty() || !client_.congested())) retire();
    return;
  }
  if (!dialogue_) return refuse_proxy_header("closed before the PROXY header was whole");
  if (!error.empty() && record_.reason.empty()) record_.reason = error;
  dialogue_->on_closed(side, around_.effects);
  carry_out();
  pump();
}

void Session::on_drained(Side side) {
  if (retired_) return;
  if (finishing_) {
    if (side == Side::client && client_.ended() && !client_.congested()) retire();
    return;
  }
  pump();
}

void Session::sweep(std::uint64_t now) {
  if (draining_since_ != 0 && now - draining_since_ >= drain_patience && !finishing_ && !retired_ &&
      dialogue_->idle()) {
    return on_drain();  // the second time ends an idle session
  }
  if (retired_ || deadline_ == 0 || now < deadline_) return;
  deadline_ = 0;
  if (finishing_) return retire();
  if (!dialogue_) return refuse_proxy_header("no PROXY header came in time");
  if (timer_ == Timer::backend_connect && dialer_) {
    const auto error = dialer_->next_after_timeout();
    if (!error) return arm(Timer::backend_connect);
    record_.reason = error->message;
    dialer_.reset();
  }
  dialogue_->on_timer(timer_, around_.effects);
  carry_out();
  pump();
}

void Session::on_drain() {
  if (finishing_ || retired_) return;
  if (!dialogue_) return finish(Ending::draining);
  if (draining_since_ == 0) draining_since_ = around_.loop.now();
  dialogue_->on_drain(around_.effects);
  carry_out();
  pump();
}

void Session::abandon() {
  if (retired_) return;
  record_.ending = Ending::draining;
  record_.reason = "stopped at once";
  retire();
}

// --- carrying out

// Tells the dialogue what happened meanwhile, until nothing is left to tell.
void Session::pump() {
  while (!finishing_ && !retired_) {
    const bool congested = client_.congested() || (backend_ && backend_->congested());
    if (std::exchange(pending_.connected, false)) {
      dialogue_->on_connected(around_.effects);
    } else if (std::exchange(pending_.connect_failed, false)) {
      around_.counters.backend_failures.add();
      dialogue_->on_connect_failed(around_.effects);
    } else if (std::exchange(pending_.client_tls_failed, false)) {
      dialogue_->on_tls_failed(Side::client, around_.effects);
    } else if (std::exchange(pending_.backend_tls_failed, false)) {
      dialogue_->on_tls_failed(Side::backend, around_.effects);
    } else if (!held_.empty() && !congested && dialogue_->wants_client_bytes()) {
      const std::size_t before = held_.size() - held_taken_;
      feed_held();
      if (!held_.empty() && held_.size() - held_taken_ == before) break;  // it cannot go on after all
      continue;
    } else {
      break;
    }
    carry_out();
  }
  if (!retired_) update_reading();
}

void Session::carry_out() {
  const auto& effects = around_.effects.list();
  for (std::size_t i = 0; i < effects.size() && !finishing_ && !retired_; ++i) perform(effects[i]);
  if (!finishing_ && !retired_) flush();
  around_.effects.clear();
}

void Session::perform(const smtp::Effect& effect) {
  switch (effect.kind) {
    case smtp::Effect::Kind::send:
      if (effect.side == Side::client) {
        client_.send(effect.bytes);
      } else if (backend_) {
        backend_->send(effect.bytes);
      }
      return;
    case smtp::Effect::Kind::start_tls: return effect.side == Side::client ? start_client_tls() : start_backend_tls();
    case smtp::Effect::Kind::connect_backend: return dial();
    case smtp::Effect::Kind::drop_backend: return drop_backend();
    case smtp::Effect::Kind::arm: return arm(effect.timer);
    case smtp::Effect::Kind::refused: return around_.counters.refusals[static_cast<std::size_t>(effect.refusal)].add();
    case smtp::Effect::Kind::message:
      return around_.counters.messages[static_cast<std::size_t>(effect.message_result)].add();
    case smtp::Effect::Kind::finish: return finish(effect.ending);
  }
}

// A connection that proves broken here is not told to the dialogue yet: reading still brings what the peer said before
// it went (a 421, say), and then its end.
void Session::flush() {
  if (backend_) (void)backend_->flush();
  (void)client_.flush();
}

void Session::update_reading() {
  if (finishing_) return;
  const bool client_held_up = !held_.empty() || client_.congested() || (backend_ && backend_->congested());
  client_.set_reading(!client_held_up);
  if (backend_) backend_->set_reading(!client_.congested());
}

// --- TLS

void Session::start_client_tls() {
  const auto* context = runtime_->contexts->server(listener_.index);
  POSTERN_ASSERT(context != nullptr, "TLS was asked for on a listener that has none");
  auto engine = context->make_engine();
  if (!engine) {
    record_.reason = engine.error().message;
    pending_.client_tls_failed = true;
    return;
  }
  flush();
  (void)client_.start_tls(std::move(*engine));  // a server has nothing to say first
}

void Session::start_backend_tls() {
  const auto* context = runtime_->contexts->backend(listener_.index);
  POSTERN_ASSERT(context != nullptr, "TLS was asked for toward a backend that has none");
  const auto endpoint = pooled_ ? listener_.pool.endpoint(*pooled_) : config::Endpoint{};
  auto engine = context->make_engine(endpoint.kind == config::Endpoint::Kind::name ? endpoint.name : "");
  std::optional<Error> error;
  if (!engine) {
    error = engine.error();
  } else {
    error = backend_->start_tls(std::move(*engine));
  }
  if (!error) return;
  record_.reason = error->message;
  pending_.backend_tls_failed = true;
}

// --- the server

void Session::dial() {
  const auto& backend = settings().backend;
  const bool tells_tls = !backend.exec.empty() || backend.client_address == config::ClientAddress::proxy_v2;
  if (tells_tls && settings().mode == config::TlsMode::implicit && !record_.client_tls) {
    dial_after_handshake_ = true;
    return;
  }
  if (!backend.exec.empty()) return dial_program();
  std::optional<net::SocketAddress> source;
  if (backend.client_address == config::ClientAddress::transparent) source = record_.client;
  dialer_ = std::make_unique<BackendDialer>(
      around_.loop.raw(), listener_.pool, source,
      [this](Result<BackendDialer::Connected> connected) { on_dialed(std::move(connected)); });
  if (const auto error = dialer_->dial()) {
    record_.reason = error->message;
    pending_.connect_failed = true;
  }
}

void Session::dial_program() {
  const auto local = net::local_address(client_.socket()).value_or(net::SocketAddress{});
  auto started =
      net::ChildProcess::start(around_.loop.raw(), settings().backend.exec,
                               ucspi_environment(local, record_.client, runtime_->hostname, record_.client_tls.get()));
  if (!started) {
    record_.reason = started.error().message;
    pending_.connect_failed = true;
    return;
  }
  adopt_backend({std::move(started->socket), settings().backend.exec[0], std::nullopt, std::move(started->process)});
}

void Session::on_dialed(Result<BackendDialer::Connected> connected) {
  dialer_.reset();
  if (connected) {
    adopt_backend(std::move(*connected));
  } else {
    record_.reason = connected.error().message;
    pending_.connect_failed = true;
  }
  pump();
}

void Session::adopt_backend(BackendDialer::Connected connected) {
  record_.server = connected.name;
  pooled_ = connected.pooled;
  child_ = std::move(connected.child);
  backend_ = std::make_unique<Stream>(Side::backend, *this, around_.scratch, std::move(connected.socket));
  greet_backend_with_proxy_header();
  if (settings().backend.tls == config::TlsMode::implicit) {
    start_backend_tls();  // the dialogue is told once that is over
  } else {
    pending_.connected = true;
  }
}

void Session::greet_backend_with_proxy_header() {
  const auto mode = settings().backend.client_address;
  if (mode != config::ClientAddress::proxy_v1 && mode != config::ClientAddress::proxy_v2) return;
  const auto local = net::local_address(client_.socket()).value_or(net::SocketAddress{});
  const wire::ProxyAddresses addresses{record_.client.address, local.address, record_.client.port, local.port};
  std::optional<wire::ProxyTls> tls;
  if (record_.client_tls) {
    const auto& facts = *record_.client_tls;
    tls = wire::ProxyTls{facts.version,
                         facts.cipher,
                         facts.sni,
                         facts.peer_common_name,
                         !facts.peer_subject.empty(),
                         facts.verification == tls::Verification::verified};
  }
  const std::string header =
      mode == config::ClientAddress::proxy_v1 ? wire::print_proxy_v1(addresses) : wire::print_proxy_v2(addresses, tls);
  backend_->send(header);
  flush();
}

void Session::drop_backend() {
  dialer_.reset();
  dial_after_handshake_ = false;
  pending_.connected = pending_.connect_failed = pending_.backend_tls_failed = false;
  // After a QUIT the program may have something left to do (Exim starts deliveries); otherwise it has lost its client.
  const std::uint64_t patience = record_.ending == Ending::quit ? net::ChildReaper::kill_after : 0;
  if (child_) around_.reaper.take(std::move(child_), around_.loop.now(), patience);
  if (pooled_) listener_.pool.released(*pooled_);
  pooled_.reset();
  if (!backend_) return;
  backend_->drop();
  around_.bury(std::move(backend_));
}

// --- time and the end

void Session::arm(Timer timer) {
  const auto& limits = settings().timeouts;
  std::chrono::milliseconds wait{0};
  switch (timer) {
    case Timer::none: break;
    case Timer::handshake: wait = settings().tls.handshake_timeout; break;
    case Timer::greeting: wait = limits.greeting; break;
    case Timer::backend_connect: wait = limits.backend_connect; break;
    case Timer::command: wait = limits.command; break;
    case Timer::data_block: wait = limits.data_block; break;
    case Timer::data_end: wait = limits.data_end; break;
    case Timer::closing: wait = closing_time; break;
  }
  timer_ = timer;
  deadline_ = timer == Timer::none ? 0 : around_.loop.now() + static_cast<std::uint64_t>(wait.count());
}

void Session::finish(Ending ending) {
  if (finishing_ || retired_) return;
  flush();
  finishing_ = true;
  record_.ending = ending;
  drop_backend();
  held_ = {};
  if (!client_.finish() || (client_.ended() && !client_.congested())) return retire();
  arm(Timer::closing);
  client_.set_reading(true);  // to its end, so that closing does not become a reset that eats our last reply
}

void Session::retire() {
  if (retired_) return;
  retired_ = true;
  drop_backend();
  around_.counters.bytes_from_clients.add(client_.bytes_in());
  around_.counters.bytes_to_clients.add(client_.bytes_out());
  static const smtp::InboundOutcome nothing;
  log_session(record_, settings().name, dialogue_ ? dialogue_->outcome() : nothing,
              {client_.bytes_in(), client_.bytes_out(), around_.loop.now() - record_.started});
  client_.drop();
  around_.retire(*this);
}

}  // namespace postern::session
