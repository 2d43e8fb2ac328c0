// The remote half of OutboundDialogue: the way to a server, what policies say of it, and the server's replies.
#include <algorithm>
#include <utility>

#include "proxy/smtp/command.h"
#include "proxy/smtp/octets.h"
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

namespace {

using Stage = RemoteState::Stage;

// Domains remembered as approved on a connection; a client with more of them waits for another answer.
constexpr std::size_t domain_limit = 64;

// A refusal that can be said as it stands.
bool is_refusal(std::string_view reply) {
  return reply.size() >= 3 && (reply[0] == '4' || reply[0] == '5') && is_digit(reply[1]) && is_digit(reply[2]) &&
         std::none_of(reply.begin(), reply.end(), is_control);
}

}  // namespace

// --- the way to the server

void OutboundDialogue::dial(Effects& out) {
  opening_ = std::make_unique<RemoteOpening>(name_for_remote());
  remote_ = {};
  TwoPartyDialogue::dial(out);
}

void OutboundDialogue::drop_remote(Effects& out) {
  if (server_ != Server::none) out.drop_server();
  server_ = Server::none;
  opening_.reset();
  link_ = {};
  replies_ = ReplyReader();
  transaction_.sent = false;
}

void OutboundDialogue::abandon_server(Effects& out) {
  drop_remote(out);
  remote_.stage = Stage::lost;
}

// Takes what the opening has come to, and goes on if the client can be told.
void OutboundDialogue::opening_moved(Effects& out) {
  if (!opening_) return;
  if (opening_->over() && server_ == Server::opening) opening_is_over(out);
  if (state_ == State::await_greeting && opening_->greeted()) return greet(opening_->greeting(), out);
  const bool waited_for = state_ == State::await_greeting || state_ == State::opening;
  if (!waited_for || !opening_->over()) return;
  opening_.reset();
  ask(asked_about_, out);
}

void OutboundDialogue::opening_is_over(Effects& out) {
  remote_ = opening_->result();
  link_ = {};
  if (!remote_.usable()) {
    out.drop_server();
    server_ = Server::none;
    replies_ = ReplyReader();
    return;
  }
  server_ = Server::open;
  link_.hello = opening_->hello();
  link_.pipelines = link_.hello.has("PIPELINING");
  link_.tls = opening_->tls();
  link_.demands_tls = opening_->demands_tls();
  link_.our_auth = opening_->authenticates();
  link_.extensions = extensions_of(link_.hello);
  const bool lacks_some = !facts_.greets_itself && (shown_ & ~link_.extensions) != 0;
  link_.poorer = lacks_some || opening_->goes_by_memory();
}

// --- the policy's answer

void OutboundDialogue::ask(std::string domain, Effects& out) {
  asked_about_ = std::move(domain);
  fit_when_asked_ = fit();
  out.ask_policy(asked_about_);
  enter(State::await_policy);
}

// Mail may go out there if the session says so.
bool OutboundDialogue::fit() const {
  return server_ == Server::open && remote_.usable() && (link_.tls || !link_.demands_tls);
}

void OutboundDialogue::on_policy_answer(const PolicyAnswer& policy_answer, Effects& out) {
  if (state_ != State::await_policy) return;
  progress_ = true;
  switch (policy_answer.action) {
    case PolicyAnswer::Action::proceed:
      if (fit()) {
        let_proceed(policy_answer.vouched, out);
      } else if (fit_when_asked_) {
        ask(asked_about_, out);  // it was good, and went meanwhile
      } else {
        turned_down({PolicyAnswer::Action::refuse, {}}, out);
      }
      break;
    case PolicyAnswer::Action::reconnect:
      if (!may_reconnect() || dials() >= connections_per_command) {
        turned_down({PolicyAnswer::Action::refuse, {}}, out);
      } else if (draining_ && dials() > 0) {
        refuse_now(Refusal::draining, Ending::draining, out);
      } else {
        reconnect(out);
      }
      break;
    case PolicyAnswer::Action::refuse: turned_down(policy_answer, out); break;
  }
  settle(out);
}

void OutboundDialogue::let_proceed(bool vouched, Effects& out) {
  link_.approved = true;
  link_.vouched = vouched;
  if (!asked_about_.empty()) {
    if (link_.domains.size() >= domain_limit) link_.domains.erase(link_.domains.begin());
    link_.domains.push_back(asked_about_);
  }
  resume(out);
}

void OutboundDialogue::reconnect(Effects& out) {
  if (server_ == Server::open) out.send(Side::server, "QUIT\r\n");
  drop_remote(out);
  enter(greeted_ ? State::opening : State::await_greeting);
  dial(out);
}

void OutboundDialogue::turned_down(const PolicyAnswer& policy_answer, Effects& out) {
  Refusal refusal = policy_answer.refusal;
  std::string text(row(refusal).reply);
  if (is_refusal(policy_answer.reply)) {
    text = policy_answer.reply + "\r\n";
  } else if (!greeted_ && is_refusal(remote_.reply)) {
    refusal = Refusal::server_refused;
    text = remote_.reply + "\r\n";
  }
  if (remote_.stage == Stage::lost) outcome_.trouble = remote_.trouble;
  if (remote_.stage == Stage::greeting_failed) outcome_.trouble = "the server refused to serve: " + remote_.reply;
  if (!greeted_ && outcome_.trouble.empty()) outcome_.trouble = text.substr(0, text.find('\r'));
  if (const auto held = std::exchange(held_, nullptr)) {
    const Command command = parse_command(*held);
    if (command.verb == Verb::rcpt) outcome_.envelope.recipient_refused(command.argument, text);
    answers_.note_turned_away(refusal, to_string(command.verb), text, out);
  } else {
    answers_.note_turned_away(refusal, {}, text, out);  // the connection as such
  }
  if (asked_about_.empty()) {
    if (server_ == Server::open) out.send(Side::server, "QUIT\r\n");
    drop_remote(out);
    hello_refusal_ = text;
    hello_refused_as_ = refusal;
  }
  say(text, out);
  const Ending ending = remote_.stage == Stage::lost ? Ending::server_lost : Ending::server_unreachable;
  if (!greeted_ || text.starts_with("421")) return finish(ending, out);
  enter(State::command);
}

// --- its replies

void OutboundDialogue::on_piece(const ReplyPiece& piece, bool more, Effects& out) {
  progress_ = true;
  if (server_ == Server::opening) {
    opening_->on_reply(piece, more, out);
    return opening_moved(out);
  }
  if (answers_.empty()) return in_content() ? early_reply(piece, out) : unasked(piece, out);
  const Expected to = answers_.server();
  // A server that cannot forget a transaction must not see the next one.
  const bool forgets = piece.code / 100 == 2 || (to != Expected::swallowed && to != Expected::reset);
  if (!forgets || !answers_.believable(piece.code, chunk_under_way())) {
    return lose(Ending::server_protocol, wrong_answer(due(), piece), out);
  }
  if (piece.last && piece.code == 421) out.because(took_leave(piece));
  // It takes its leave instead of a message that another host may take.
  if (piece.code == 421 && facts_.greets_itself && before_recipient()) {
    if (piece.last) lose(Ending::server_closed, wrong_answer(due(), piece), out);
    return;
  }
  if (to == Expected::recipient && !transaction_.refusal.empty()) {
    if (piece.last) outcome_.envelope.recipient_answered(transaction_.refusal);
  } else {
    outcome_.envelope.replied(to, piece);
  }
  pass_on(to, piece, out);
  if (piece.last) replied(to, piece.code, out);
}

void OutboundDialogue::pass_on(Expected to, const ReplyPiece& piece, Effects& out) {
  switch (to) {
    case Expected::swallowed:
    case Expected::reset: return;  // ours comes once it is whole
    case Expected::mail:
      if (piece.negative()) mail_reply_ += print(piece, piece.text);
      return;
    case Expected::recipient:
      if (transaction_.refusal.empty()) replies_.hand_on(piece, out);
      return;
    case Expected::plain:
    case Expected::hello:
    case Expected::data:
    case Expected::end_of_data:
    case Expected::chunk:
    case Expected::last_chunk:
    case Expected::auth:
    case Expected::quit: return replies_.hand_on(piece, out);
  }
}

void OutboundDialogue::replied(Expected to, int code, Effects& out) {
  answers_.pop();
  const bool positive = code / 100 == 2;
  switch (to) {
    case Expected::plain:
    case Expected::chunk:
    case Expected::hello:
    case Expected::quit:
    case Expected::swallowed: break;
    case Expected::mail:
      answer_mail(out);
      mail_replied(positive);
      if (code == 421) refuse_recipient(out);  // no reply to RCPT will come
      break;
    case Expected::recipient:
      link_.served = true;
      if (!transaction_.refusal.empty()) {
        refuse_recipient(out);
      } else if (positive) {
        transaction_.accepted = true;
      }
      break;
    case Expected::reset: out.send(Side::client, "250 2.0.0 Ok\r\n"); break;
    case Expected::end_of_data:
    case Expected::last_chunk: message_result(to, code, out); break;
    case Expected::data:
    case Expected::auth: go_within(to, code); break;
  }
  if (code == 421) return server_takes_leave(out);
  release_own_replies(out);
}

void OutboundDialogue::refuse_recipient(Effects& out) {
  answers_.note_turned_away(transaction_.refused_as, to_string(Verb::rcpt), transaction_.refusal, out);
  out.send_copy(Side::client, transaction_.refusal);
}

// The client has had our 250 to it: a refusal answers the recipients instead.
void OutboundDialogue::mail_replied(bool positive) {
  if (positive) return;
  transaction_.refusal = std::exchange(mail_reply_, {});
  link_.dirty = false;
  // It may be about what another connection offered: not for good, then.
  const bool for_good = transaction_.refusal.starts_with('5');
  transaction_.refused_as = link_.poorer && for_good ? Refusal::remote_unusable : Refusal::server_refused;
  if (link_.poorer && for_good) transaction_.refusal = row(Refusal::remote_unusable).reply;
}

void OutboundDialogue::message_result(Expected to, int code, Effects& out) {
  const bool positive = code / 100 == 2;
  transaction_ = {};
  link_.dirty = to == Expected::last_chunk && !positive;  // RFC 3030 2: RSET must come after that
  answers_.message_replied(code, out);
}

// The server has had enough of a message that is still coming. Only a refusal can be true; the client hears it at the
// end of its content, where it listens.
void OutboundDialogue::early_reply(const ReplyPiece& piece, Effects& out) {
  if (!piece.negative()) return lose(Ending::server_protocol, unasked_answer(piece), out);
  const auto ending = piece.code == 421 ? std::optional(Ending::server_closed) : std::nullopt;
  if (ending) out.because(took_leave(piece));
  end_content({alone(piece), ending}, out);
}

void OutboundDialogue::unasked(const ReplyPiece& piece, Effects& out) {
  const bool farewell = piece.code == 421 || piece.code == 221;
  lose(farewell ? Ending::server_closed : Ending::server_protocol, unasked_answer(piece), out);
}

}  // namespace postern::smtp
