#include "proxy/session/session.h"

#include <utility>

#include "config/assert.h"
#include "proxy/net/presence.h"
#include "tls/server_context.h"
#include "tls/signer.h"

namespace postern::session {

using smtp::Ending;
using smtp::Side;
using smtp::Timer;

namespace {
constexpr auto closing_time = std::chrono::milliseconds(5'000);
constexpr auto draining_closing_time = std::chrono::milliseconds(2'000);  // containers are killed after ten seconds
constexpr std::uint64_t impatience = 1'000;  // milliseconds for who does not understand our last words anyway
// A client of which octets are held is not read. So often, in milliseconds, it is looked whether it is still there; and
// so long one that will say nothing more waits for the server to make use of what it has said.
constexpr std::uint64_t look_interval = 1'000;
constexpr std::uint64_t leaving_patience = 5'000;
}  // namespace

Session::Session(Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime, std::uint64_t id,
                 net::StreamPtr client)
    : around_(surroundings),
      runtime_(std::move(runtime)),
      client_(*this, surroundings.scratch.first, std::move(client)) {
  record_.id = id;
}

// --- the beginning

void Session::start() {
  record_.begin(around_.books.of(direction(), listener().name), around_.loop.now());
  const auto peer = net::peer_address(client_.socket());
  if (!peer) return retire();  // gone before we looked
  record_.client = *peer;
  if (full()) return;
  on_client();
}

void Session::begin(std::unique_ptr<smtp::Dialogue> dialogue) {
  dialogue_ = std::move(dialogue);
  dialogue_->start(around_.effects);
  carry_out();
  pump();
}

// --- events

void Session::on_bytes(stream::Stream& from, std::string_view bytes) {
  if (over()) return;
  if (!dialogue_) return on_early_bytes(bytes);
  if (&from == &client_) return offer(bytes);
  dialogue_->on_server_bytes(bytes, around_.effects);
  carry_out();
  pump();
}

void Session::offer(std::string_view bytes) {
  if (!welcome(bytes)) return;
  if (!held_.empty()) {
    keep(bytes);
  } else {
    const std::size_t taken = dialogue_->on_client_bytes(bytes, around_.effects);
    carry_out();  // before `bytes` goes
    keep(bytes.substr(taken));
  }
  pump();
}

void Session::feed_held() {
  held_taken_ += dialogue_->on_client_bytes(std::string_view(held_).substr(held_taken_), around_.effects);
  carry_out();
  if (held_taken_ >= held_.size()) forget_kept();
}

void Session::on_handshake(stream::Stream& with, Result<tls::SessionFacts> facts) {
  if (over()) return;
  const Side side = side_of(with);
  const tls::Engine* const engine = with.engine();
  if (side == Side::server) lacked_signature_ = engine->lacked_signature();
  if (!facts) {
    record_.reason = facts.error().message;
    closed_in_handshake_ = facts.error().code == Errc::closed;
    record_.note_failed_handshake(side, closed_in_handshake_ ? "peer_closed" : tls::to_string(engine->failure()));
    dialogue_->on_tls_failed(side, around_.effects);
    carry_out();
    return pump();
  }
  record_.note_handshake(side, std::move(*facts), around_.loop.now());
  on_tls_up(side);
  pump();
}

void Session::on_end(stream::Stream& of, std::string_view error) {
  if (retired_) return;
  const Side side = side_of(of);
  if (finishing_) {
    if (side == Side::client && (!error.empty() || !client_.congested())) retire();
    return;
  }
  if (!dialogue_) return on_early_end(Early::closed);
  if (!error.empty() && record_.reason.empty()) record_.reason = error;
  end_error_ = error;  // a dialogue's sentence about this end goes before it
  dialogue_->on_closed(side, around_.effects);
  carry_out();
  end_error_ = {};
  if (side == Side::client && !error.empty() && !over()) client_is_broken();
  pump();
}

// No reply reaches it any more. What it has sent in full is the server's to take or refuse, and is waited for.
void Session::client_is_broken() {
  client_is_deaf_ = true;
  forget_kept();
  (void)dialogue_->on_client_bytes({}, around_.effects);
  carry_out();
  if (!over() && !dialogue_->message_unanswered()) {
    finish(dialogue_->idle() ? Ending::client_closed : Ending::client_lost);
  }
}

// Octets of it are held, so that nobody reads on to its end.
void Session::look_after_client(std::uint64_t now) {
  if (client_.reading() || now - looked_at_ < look_interval) return;
  looked_at_ = now;
  switch (net::presence_of_peer(client_.socket())) {
    case net::Presence::there: leaving_since_ = 0; return;
    case net::Presence::gone:
      if (!client_.ended()) return client_.break_off("the client is gone");
      client_is_broken();
      return pump();
    case net::Presence::leaving: break;
  }
  // Replies may still be read; a message that waits for the server to take more of it is no reason to end either.
  const std::uint64_t progress = held_taken_ + client_.bytes_out();
  const bool busy = dialogue_->message_unanswered() || client_.congested() || (server_ && server_->congested());
  if (leaving_since_ == 0 || busy || progress != leaving_progress_) {
    leaving_since_ = now;
    leaving_progress_ = progress;
  } else if (now - leaving_since_ >= leaving_patience) {
    if (record_.reason.empty()) record_.reason = "the client says no more, and the server does not answer it";
    finish(dialogue_->idle() ? Ending::client_closed : Ending::client_lost);
  }
}

void Session::on_drained(stream::Stream& stream) {
  if (retired_) return;
  if (finishing_) {
    if (&stream == &client_ && client_.ended() && !client_.congested()) retire();
    return;
  }
  pump();
}

void Session::sweep(std::uint64_t now) {
  if (drain_end_ != 0 && !over() && end_drain(now)) return;
  if (!over() && dialogue_) look_after_client(now);
  if (retired_ || deadline_ == 0 || now < deadline_) return;
  deadline_ = 0;
  if (finishing_) return retire();
  if (!dialogue_) return on_early_end(Early::silent);
  if (timer_ == Timer::connect && dial_timed_out()) {
    arm(Timer::connect);
    return pump();
  }
  if (timer_ == Timer::handshake) note_slow_handshakes();
  dialogue_->on_timer(timer_, around_.effects);
  carry_out();
  pump();
}

void Session::note_slow_handshakes() {
  if (client_.handshaking()) record_.note_failed_handshake(Side::client, "timeout");
  if (server_ && server_->handshaking()) record_.note_failed_handshake(Side::server, "timeout");
}

void Session::on_signer() {
  if (dialogue_) dialogue_->tls_available(tls_available());
}

bool Session::tls_available() const {
  const tls::ServerContext* const context = client_tls();
  if (context == nullptr || !context->needs_signer()) return context != nullptr;
  return around_.scratch.signer != nullptr && around_.scratch.signer->signs();
}

// --- carrying out

bool Session::tell_pending() {
  if (std::exchange(pending_.connected, false)) {
    dialogue_->on_connected(around_.effects);
  } else if (std::exchange(pending_.connect_failed, false)) {
    record_.note_no_connection();
    dialogue_->on_connect_failed(around_.effects);
  } else if (std::exchange(pending_.client_tls_failed, false)) {
    dialogue_->on_tls_failed(Side::client, around_.effects);
  } else if (std::exchange(pending_.server_tls_failed, false)) {
    dialogue_->on_tls_failed(Side::server, around_.effects);
  } else {
    return tell_more();
  }
  return true;
}

// Tells the dialogue what happened meanwhile, until nothing is left to tell.
void Session::pump() {
  while (!over() && dialogue_) {
    if (tell_pending()) {
      carry_out();
      continue;
    }
    const bool congested = client_.congested() || (server_ && server_->congested());
    if (held_.empty() || congested || !dialogue_->wants_client_bytes()) break;
    const std::size_t before = held_.size() - held_taken_;
    feed_held();
    if (!held_.empty() && held_.size() - held_taken_ == before) break;  // it cannot go on after all
  }
  if (!over()) update_reading();
}

void Session::carry_out() {
  const auto& list = around_.effects.list();
  for (std::size_t i = 0; i < list.size() && !over(); ++i) perform(list[i]);
  if (!over()) flush();
  around_.effects.clear();
}

void Session::perform(const smtp::Effect& effect) {
  switch (effect.kind) {
    case smtp::Effect::Kind::send:
      if (effect.side == Side::client) {
        client_.send(effect.bytes);
      } else if (server_) {
        server_->send(effect.bytes);
      }
      return;
    case smtp::Effect::Kind::start_tls: return start_tls(effect.side);
    case smtp::Effect::Kind::connect_server: return dial();
    case smtp::Effect::Kind::drop_server: return drop_server();
    case smtp::Effect::Kind::arm: return arm(effect.timer);
    case smtp::Effect::Kind::ask_policy: return ask_policy(effect.bytes);
    case smtp::Effect::Kind::refused: return record_.note_refusal(effect.refusal, effect.bytes, effect.reason);
    case smtp::Effect::Kind::turned_away: return record_.note_turned_away(effect.refusal, effect.bytes, effect.reason);
    case smtp::Effect::Kind::message: return message(effect);
    case smtp::Effect::Kind::because: return because(effect.bytes);
    case smtp::Effect::Kind::finish: return finish(effect.ending);
  }
}

void Session::because(std::string_view reason) {
  record_.reason = reason;
  if (!end_error_.empty()) record_.reason.append(" (").append(end_error_).append(")");
}

void Session::message(const smtp::Effect& effect) {
  record_.note_message(effect.message_result);
  if (effect.message_result == smtp::MessageResult::in_doubt) {
    const std::string_view reason = effect.reason.empty() ? std::string_view(record_.reason) : effect.reason;
    doubt(reason.empty() ? "the server closed the connection" : reason, effect.bytes);
  } else if (effect.message_result == smtp::MessageResult::accepted && client_is_deaf_) {
    doubt("the server took it, but the client was gone before it could be told", effect.bytes);
  }
}

// The server has a message, or may have it, and the client does not know.
void Session::doubt(std::string_view reason, std::string_view about) {
  record_.note_doubt();
  log_doubt(record_, listener().name, reason, about);
}

// The backend first: what a client is told should have happened already. A connection that proves broken here is not
// told to the dialogue yet: reading still brings what the peer said before it went (a 421, say), and then its end.
void Session::flush() {
  if (server_) (void)server_->flush();
  (void)client_.flush();
}

void Session::update_reading() {
  const bool client_held_up = !held_.empty() || client_.congested() || (server_ && server_->congested());
  client_.set_reading(!client_held_up);
  if (server_) server_->set_reading(!client_.congested());
}

void Session::start_tls(Side side) {
  POSTERN_ASSERT(side == Side::client || server_, "TLS with a server that is not there");
  record_.note_handshake_begins(side, around_.loop.now());
  auto engine = make_engine(side);
  flush();
  std::optional<Error> error;
  if (!engine) {
    error = engine.error();
  } else {
    error = (side == Side::client ? client_ : *server_).start_tls(std::move(*engine));
  }
  if (!error) return;
  record_.note_failed_handshake(side, "other");
  tls_failed(side, error->message);
}

void Session::adopt_server(net::StreamPtr socket) {
  server_ = std::make_unique<stream::Stream>(*this, around_.scratch.second, std::move(socket));
}

void Session::connect_failed(std::string reason) {
  record_.reason = std::move(reason);
  pending_.connect_failed = true;
}

void Session::tls_failed(Side side, std::string reason) {
  record_.reason = std::move(reason);
  (side == Side::client ? pending_.client_tls_failed : pending_.server_tls_failed) = true;
}

void Session::drop_server() {
  release_server();
  pending_.connected = pending_.connect_failed = pending_.server_tls_failed = false;
  if (!server_) return;
  server_->drop();
  around_.bury(std::move(server_));
}

// --- time and the end

std::chrono::milliseconds Session::wait_for(Timer timer) const {
  const config::Timeouts& limits = listener().timeouts;
  switch (timer) {
    case Timer::handshake: return listener().tls.handshake_timeout;
    case Timer::greeting: return limits.greeting;
    case Timer::reply: return limits.reply;
    case Timer::connect: return limits.connect;
    case Timer::command: return limits.command;
    case Timer::data_block: return limits.data_block;
    case Timer::data_end: return limits.data_end;
    case Timer::none:
    case Timer::closing: break;
  }
  return {};
}

void Session::arm(Timer timer) {
  const auto closing = drain_end_ != 0 ? draining_closing_time : closing_time;
  const auto wait = timer == Timer::closing ? closing : wait_for(timer);
  timer_ = timer;
  deadline_ = timer == Timer::none ? 0 : around_.loop.now() + static_cast<std::uint64_t>(wait.count());
}

void Session::finish(Ending ending) {
  if (over()) return;
  if (server_) (void)server_->flush();
  finishing_ = true;
  record_.ending = ending;
  drop_server();
  forget_kept();
  if (!client_.finish() || (client_.ended() && !client_.congested())) return retire();
  arm(Timer::closing);
  if (ending == Ending::client_spoke_tls) deadline_ = around_.loop.now() + impatience;
  client_.set_reading(true);  // to its end, so that closing does not become a reset that eats our last reply
}

void Session::retire() {
  if (retired_) return;
  retired_ = true;
  drop_server();
  const SessionTotals totals{client_.bytes_in(), client_.bytes_out(), around_.loop.now() - record_.started};
  static const smtp::DialogueOutcome nothing;
  const auto& outcome = dialogue_ ? dialogue_->outcome() : nothing;
  record_.note_end(totals, outcome.helo);
  if (record_.ending != Ending::limit) log_session(record_, direction(), listener().name, outcome, totals);
  forget_kept();
  seat_.give_back(microseconds());
  client_.drop();
  around_.retire(*this);
}

}  // namespace postern::session
