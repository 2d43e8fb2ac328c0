// The server's half of InboundDialogue: the way to it, and its replies.
#include <utility>

#include "proxy/smtp/inbound_dialogue.h"

namespace postern::smtp {

namespace {

// For the record.
std::string unasked_for(const ReplyPiece& piece) {
  return "the server said what nobody had asked for: " + quote(piece);
}
std::string unbelievable(Expected to, const ReplyPiece& piece) {
  return "the server answered " + std::string(to_string(to)) + " with " + quote(piece);
}

}  // namespace

// --- the way to the server

void InboundDialogue::dial(Effects& out) {
  opening_ = std::make_unique<BackendOpening>(*facts_.listener, facts_.hostname);
  server_pipelines_ = server_knows_client_ = server_said_farewell_ = server_knows_ehlo_ = server_heard_hello_ = false;
  xclient_listed_.clear();
  TwoPartyDialogue::dial(out);
}

// The first command that needs a server: it is kept until the server is there.
void InboundDialogue::dial_for(const Line& line, Effects& out) {
  hold(line, State::opening);
  dial(out);
}

void InboundDialogue::on_server_connected() {
  if (opening_) opening_->on_connected();
}

void InboundDialogue::on_server_unreachable(Effects& out) {
  if (opening_) server_gone(Ending::server_unreachable, {}, out);
}

void InboundDialogue::on_server_tls(Effects& out) {
  opening_->on_tls(out);
  server_is_ready(out);
}

void InboundDialogue::on_server_tls_failed(Effects& out) {
  server_gone(Ending::server_tls_failed, {}, out);
}

// Looks whether the opening is over, and goes on if the client can be told.
void InboundDialogue::server_is_ready(Effects& out) {
  if (state_ == State::handshake || !opening_ || !opening_->over()) return;
  if (opening_->state() == BackendOpening::State::failed) {
    return server_gone(opening_->failure(), std::string(opening_->why()), out);
  }
  if (opening_->state() == BackendOpening::State::rejected) return server_rejected(out);
  server_serves(out);
}

void InboundDialogue::server_rejected(Effects& out) {
  const std::string& said = opening_->reply();
  out.because("the server refused to serve: " + said.substr(0, said.find('\r')));
  if (state_ == State::opening) return server_gone(Ending::server_unreachable, {}, out);
  const auto opening = std::exchange(opening_, nullptr);
  out.send_copy(Side::client, opening->reply());
  server_ = Server::open;
  server_said_farewell_ = true;
  if (opening->code() == 421) return finish(Ending::server_closed, out);
  enter(State::command);
}

void InboundDialogue::server_serves(Effects& out) {
  const auto opening = std::exchange(opening_, nullptr);
  server_ = Server::open;
  xclient_listed_ = opening->xclient_parameters();
  server_knows_ehlo_ = opening->knows_ehlo();
  // Who has not introduced itself is not known to the server either, and must not pass for us.
  if (!xclient_listed_.empty()) standing_.ehlo_first = true;
  if (state_ == State::opening) return introduce_client(out);
  if (draining_) return refuse_now(Refusal::draining, Ending::draining, out);
  out.send_copy(Side::client, opening->reply());
  enter(State::command);
}

// The client has introduced itself to us; now we do it to the server, in its name.
void InboundDialogue::introduce_client(Effects& out) {
  if (standing_.introduced_to_us == Verb::invalid) return resume(out);
  const bool extended = std::exchange(standing_.introduced_to_us, Verb::invalid) == Verb::ehlo;
  begin_hello(extended, out);
}

void InboundDialogue::on_server_closed(Effects& out) {
  if (opening_) {
    const bool in_tls = opening_->state() == BackendOpening::State::handshake;
    const bool greets = opening_->state() == BackendOpening::State::greeting;
    server_gone(in_tls ? Ending::server_tls_failed : Ending::server_unreachable,
                greets ? "the server went before it had greeted" : "the server went before it was ready", out);
  } else if (server_ == Server::open) {
    server_gone(owes_nothing() || server_said_farewell_ ? Ending::server_closed : Ending::server_lost, gone(), out);
  }
}

void InboundDialogue::abandon_server(Effects& out) {
  out.drop_server();
  server_ = Server::none;
}

// The server is no more: one 421 for everything it still owes, never a success.
void InboundDialogue::server_gone(Ending ending, std::string_view why, Effects& out) {
  if (state_ == State::ended || server_ == Server::none) return;
  if (!why.empty()) out.because(why);
  if (!server_said_farewell_ && owes_nothing()) return server_left(ending, out);
  if (answers_.size() == 1 && !answers_.own_is_next() && answers_.server() == Expected::quit) return bid_farewell(out);
  const bool within_message = input_.sends_on();
  answers_.doubt_messages(why, chunk_under_way(), out);
  if (in_content()) answers_.message_cut_off({}, out);
  const bool its_own_words = opening_ && opening_->state() == BackendOpening::State::rejected;
  std::string reply = its_own_words ? opening_->reply() : std::string(row(Refusal::backend_unavailable).reply);
  out.drop_server();
  server_ = Server::none;
  opening_.reset();
  hello_.reset();
  answers_.clear();
  if (server_said_farewell_ && !within_message) return finish(ending, out);
  if (its_own_words) {
    answers_.note_turned_away(Refusal::server_refused, {}, reply, out);
  } else {
    answers_.note(Refusal::backend_unavailable, {}, out);
  }
  discard_message({std::move(reply), ending}, out);
}

// Between commands, or while the client is about to begin anew anyway.
bool InboundDialogue::owes_nothing() const {
  return server_ == Server::open && answers_.empty() && (state_ == State::command || state_ == State::handshake);
}

// For the record: the server went, or somebody let the time run out.
std::string InboundDialogue::gone() const {
  if (!answers_.empty()) return "the server went before its reply to " + std::string(to_string(answers_.server()));
  return input_.sends_on() ? "the server went in the middle of a message"
                           : "the server went while nothing was asked of it";
}

std::string InboundDialogue::late() const {
  if (answers_.empty()) return "the client was silent too long";
  return "the server did not reply in time to " + std::string(to_string(answers_.server()));
}

// A client that has had its last reply would take another, unasked, for a failure of what it was told before.
void InboundDialogue::server_left(Ending ending, Effects& out) {
  out.drop_server();
  server_ = Server::none;
  standing_.transaction = false;
  if (state_ != State::handshake) left_with_ = ending;  // after TLS there is another
}

// --- its replies

void InboundDialogue::on_piece(const ReplyPiece& piece, bool more, Effects& out) {
  if (opening_) {
    if (opening_->over()) return server_gone(Ending::server_protocol, unasked_for(piece), out);
    opening_->on_reply(piece, more, out);
    progress_ = true;
    return server_is_ready(out);
  }
  if (answers_.empty()) return in_content() ? early_reply(piece, out) : unasked(piece, out);
  progress_ = true;
  const Expected to = answers_.server();
  if (piece.last && piece.code == 421) out.because(took_leave(piece));
  if (to == Expected::hello) return hello_reply(piece, out);
  if (!answers_.believable(piece.code, chunk_under_way())) {
    return server_gone(Ending::server_protocol, unbelievable(to, piece), out);
  }
  outcome_.envelope.replied(to, piece);
  const bool ours = to == Expected::swallowed || (to == Expected::quit && piece.code / 100 == 4);
  if (!ours) replies_.hand_on(piece, out);
  if (piece.last) replied(to, piece.code, out);
}

// The server has had enough of a message that is still coming. Only a refusal can be true; the client hears it at the
// end of its content, where it listens.
void InboundDialogue::early_reply(const ReplyPiece& piece, Effects& out) {
  if (!piece.negative()) return server_gone(Ending::server_protocol, unbelievable(Expected::end_of_data, piece), out);
  end_content({alone(piece), Ending::server_lost}, out);
}

void InboundDialogue::unasked(const ReplyPiece& piece, Effects& out) {
  const bool farewell = piece.code == 421 || piece.code == 221;
  if (owes_nothing() || piece.code != 421) {
    const auto ending = farewell ? Ending::server_closed : Ending::server_protocol;
    return server_gone(ending, farewell ? took_leave(piece) : unasked_for(piece), out);
  }
  replies_.hand_on(piece, out);
  if (!piece.last) return;
  out.because(took_leave(piece));
  finish(Ending::server_closed, out);
}

void InboundDialogue::replied(Expected to, int code, Effects& out) {
  answers_.pop();
  const bool positive = code / 100 == 2;
  switch (to) {
    case Expected::plain:
    case Expected::recipient:
    case Expected::chunk:
    case Expected::hello: break;
    case Expected::swallowed:  // our RSET
      standing_.transaction = false;
      break;
    case Expected::mail: standing_.transaction = standing_.transaction || positive; break;
    case Expected::reset: standing_.transaction = standing_.transaction && !positive; break;
    case Expected::data:
      if (code != 354) standing_.transaction = false;  // no valid recipient, most likely; the client starts anew
      go_within(to, code);
      break;
    case Expected::end_of_data:
    case Expected::last_chunk:
      standing_.transaction = false;
      answers_.message_replied(code, out);
      break;
    case Expected::auth: go_within(to, code); break;
    case Expected::quit:
      if (code / 100 == 4) return bid_farewell(out);
      if (code == 221) return finish(Ending::quit, out);
      enter(State::command);
      break;
  }
  if (code == 421) return server_takes_leave(out);
  release_own_replies(out);
}

// --- EHLO and HELO

void InboundDialogue::hello_reply(const ReplyPiece& piece, Effects& out) {
  switch (hello_->on_reply(piece, out)) {
    case HelloExchange::Outcome::more: return;
    case HelloExchange::Outcome::pass_on: return pass_hello_line(piece, out);
    case HelloExchange::Outcome::broken: return server_gone(Ending::server_protocol, hello_->why(piece), out);
    case HelloExchange::Outcome::accepted: hello_accepted(piece, out); break;
    case HelloExchange::Outcome::refused:
      if (may_reopen(piece.code)) return reopen(out);
      replies_.hand_on(piece, out);
      held_.reset();  // the refusal is its reply
      break;
  }
  if (hello_->introduced()) std::string().swap(xclient_listed_);
  hello_.reset();
  answers_.pop();
  if (piece.code == 421) return finish(Ending::server_closed, out);
  if (state_ == State::opening) return resume(out);
  enter(State::command);
}

// Some servers take no second EHLO on a connection: they say 503, or that they do not know the command, or worse. One
// that means it says so again where it hears EHLO first.
bool InboundDialogue::may_reopen(int code) const {
  constexpr std::uint8_t limit = 8;
  const bool wants_a_name = code == 501 && outcome_.helo.empty();
  return server_heard_hello_ && code / 100 == 5 && !wants_a_name && state_ == State::await_reply &&
         !standing_.authenticated && !draining_ && reopened_ < limit;
}

// It hears this one on a connection of its own then: everything begins anew there, as it should (RFC 3207 4.2).
void InboundDialogue::reopen(Effects& out) {
  ++reopened_;
  held_ = std::make_unique<std::string>((hello_->extended() ? "EHLO " : "HELO ") + outcome_.helo);
  hello_.reset();
  answers_.pop();
  standing_.transaction = false;
  out.drop_server();
  enter(State::opening);
  dial(out);
}

void InboundDialogue::hello_accepted(const ReplyPiece& piece, Effects& out) {
  server_heard_hello_ = true;
  server_knows_ehlo_ = server_knows_ehlo_ || hello_->esmtp();
  server_pipelines_ = hello_->esmtp() && hello_->reply().has("PIPELINING");
  server_extensions_ = extensions_of(hello_->reply());
  standing_.transaction = false;
  standing_.ehlo_first = false;
  if (state_ == State::opening) return replies_.withhold();  // the client has had its reply from us
  if (hello_->extended()) {
    const EhloReply shown = rewrite(hello_->reply(), facts_.listener->ehlo, view());
    standing_.offer(shown);
    out.send_copy(Side::client, print(shown));
  } else {
    standing_.offer_nothing();
    pass_hello_line(piece, out);
  }
}

void InboundDialogue::pass_hello_line(const ReplyPiece& piece, Effects& out) {
  const bool names_the_server = piece.first && piece.positive();
  if (!names_the_server) return replies_.hand_on(piece, out);
  replies_.hand_on(piece, print(piece, with_name(piece.text, facts_.listener->ehlo.name)), out);
}

}  // namespace postern::smtp
