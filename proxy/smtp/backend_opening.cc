#include "proxy/smtp/backend_opening.h"

#include <utility>

#include "config/assert.h"
#include "proxy/smtp/octets.h"

namespace postern::smtp {

void BackendOpening::enter(State state) {
  POSTERN_ASSERT(!over() && (state > state_ || state == State::failed), "an opening only moves forward");
  state_ = state;
}

void BackendOpening::fail_with(Ending ending, std::string why) {
  failure_ = ending;
  why_ = std::move(why);
  enter(State::failed);
}

void BackendOpening::say(std::string_view command, Effects& out) const {
  out.send_copy(Side::server, std::string(command) + "\r\n");
}

void BackendOpening::ask_for_keywords(State next, Effects& out) {
  keywords_ = EhloReply{};
  say("EHLO " + std::string(hostname_), out);
  enter(next);
}

void BackendOpening::on_connected() {
  if (state_ == State::connecting) enter(State::greeting);
}

void BackendOpening::on_reply(const ReplyPiece& piece, bool more, Effects& out) {
  switch (state_) {
    case State::greeting: return greeting(piece, out);
    case State::ehlo: return ehlo(piece, out);
    case State::starttls: return starttls(piece, more, out);
    case State::xclient_ehlo: return xclient_ehlo(piece);
    case State::connecting:
    case State::handshake: return fail_with(Ending::server_protocol, "the server spoke where TLS should begin");
    case State::open:
    case State::rejected:
    case State::failed: return;  // over: the dialogue does not ask
  }
}

void BackendOpening::greeting(const ReplyPiece& piece, Effects& out) {
  keep(piece);
  if (!piece.last) return;
  if (piece.negative()) return enter(State::rejected);
  if (piece.code != 220) return fail_with(Ending::server_protocol, "the server's greeting is " + quote(piece));
  if (listener_.backend.tls == config::TlsMode::starttls) return ask_for_keywords(State::ehlo, out);
  after_tls(out);
}

void BackendOpening::ehlo(const ReplyPiece& piece, Effects& out) {
  if (piece.code == 250) keywords_.add_line(piece.text);
  if (!piece.last) return;
  knows_ehlo_ = piece.code == 250;
  // Never plaintext where TLS is wanted.
  if (!keywords_.has("STARTTLS")) return fail_with(Ending::server_tls_failed, "the server does not offer STARTTLS");
  say("STARTTLS", out);
  enter(State::starttls);
}

void BackendOpening::starttls(const ReplyPiece& piece, bool more, Effects& out) {
  if (!piece.last) return;
  if (piece.code != 220) {
    return fail_with(Ending::server_tls_failed, "the server answered STARTTLS with " + quote(piece));
  }
  // Octets behind the 220 were put there by somebody on the wire (CVE-2021-38371).
  if (more) return fail_with(Ending::server_tls_failed, "octets followed the server's reply to STARTTLS in plaintext");
  out.start_tls(Side::server);
  enter(State::handshake);
}

void BackendOpening::on_tls(Effects& out) {
  if (state_ == State::handshake) after_tls(out);
}

void BackendOpening::after_tls(Effects& out) {
  if (listener_.backend.client_address == config::ClientAddress::xclient) {
    ask_for_keywords(State::xclient_ehlo, out);
  } else {
    enter(State::open);
  }
}

void BackendOpening::xclient_ehlo(const ReplyPiece& piece) {
  if (piece.code == 250) keywords_.add_line(piece.text);
  if (!piece.last) return;
  knows_ehlo_ = piece.code == 250;
  const EhloKeyword* keyword = keywords_.find("XCLIENT");
  // Under the gateway's own address the server would trust everybody.
  if (keyword == nullptr || !has_word(keyword->parameters, "ADDR")) {
    return fail_with(Ending::backend_lacks_xclient, "the server does not offer the gateway XCLIENT with ADDR");
  }
  xclient_parameters_ = keyword->parameters;
  enter(State::open);
}

void BackendOpening::keep(const ReplyPiece& piece) {
  if (piece.first) reply_.clear();
  code_ = piece.code;
  const bool renamed = piece.first && piece.code == 220 && !listener_.ehlo.name.empty();
  reply_ += print(piece, renamed ? with_name(piece.text, listener_.ehlo.name) : std::string(piece.text));
}

}  // namespace postern::smtp
