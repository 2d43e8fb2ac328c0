#include "proxy/smtp/remote_opening.h"

#include <algorithm>
#include <utility>

#include "config/assert.h"
#include "proxy/smtp/hello_exchange.h"
#include "proxy/smtp/octets.h"
#include "proxy/smtp/plaintext.h"

namespace postern::smtp {

namespace {

using Stage = RemoteState::Stage;

// It goes into replies of ours and into the log.
constexpr std::size_t reply_length = 400;

std::string one_line(const ReplyPiece& piece) {
  return std::to_string(piece.code) + " " + config::without_controls(piece.text.substr(0, reply_length));
}

// Of its length or its syntax, not of what it says. An enhanced code decides: X.5.Z is about the protocol, X.7.Z about
// who asks (RFC 3463 3.6, 3.8), and asking twice with the same password may lock an account.
bool complains_of_the_line(std::string_view reply) {
  const std::string_view code = reply.substr(0, 3);
  const std::string_view text = reply.substr(std::min<std::size_t>(4, reply.size()));
  if (text.starts_with("5.7.")) return false;
  return code == "500" || code == "501" || code == "502" || code == "504" || code == "552" || code == "555" ||
         text.starts_with("5.5.");
}

}  // namespace

std::string no_answer(std::string_view due, std::string_view why) {
  return "no " + std::string(due) + ": " + std::string(why);
}

std::string wrong_answer(std::string_view due, const ReplyPiece& piece) {
  return "wrong " + std::string(due) + ": " + quote(piece);
}

std::string unasked_answer(const ReplyPiece& piece) {
  return "it spoke unasked: " + quote(piece);
}

std::string tls_trouble(const RemoteState& state, std::string_view error) {
  const auto or_else = [&state, error](std::string_view otherwise) {
    if (error.empty() && !state.trouble.empty()) return state.trouble;
    return std::string(error.empty() ? otherwise : error);
  };
  switch (state.stage) {
    case Stage::none:
    case Stage::connect_failed:
    case Stage::greeting_failed:
    case Stage::lost:
    case Stage::tls_not_offered:
    case Stage::auth_failed:
    case Stage::open: return {};
    case Stage::tls_refused: return "STARTTLS was refused: " + state.reply;
    case Stage::tls_injected: return "octets followed the reply to STARTTLS in plaintext: somebody is interfering";
    case Stage::tls_failed: {
      std::string why = or_else("the TLS handshake failed");
      // What the network says of it does not name it.
      const bool named = why.find("TLS") != std::string::npos || why.find("certificate") != std::string::npos;
      return named ? why : "TLS handshake failed: " + why;
    }
    case Stage::tls_broken:
      if (plaintext_reason(state, false) == Plaintext::refused) return "STARTTLS was refused: " + state.reply;
      if (!state.reply.empty()) return "STARTTLS was answered by " + state.reply;
      return or_else("the connection was lost while TLS began");
  }
  return {};
}

void RemoteOpening::enter(State state) {
  const bool again_in_tls = state_ == State::handshake && state == State::ehlo;
  POSTERN_ASSERT(!over() && (state > state_ || again_in_tls), "an opening only moves forward");
  state_ = state;
}

void RemoteOpening::finish(Stage stage) {
  if (over()) return;
  result_.stage = stage;
  result_.offers_auth = hello_.has("AUTH");
  plan_.auth_secret.clear();
  sasl_.reset();
  enter(State::over);
}

void RemoteOpening::say(std::string_view line, Effects& out) const {
  out.send_copy(Side::server, std::string(line) + "\r\n");
}

void RemoteOpening::say_ehlo(Effects& out) {
  hello_ = EhloReply{};
  introduced_ = true;
  say("EHLO " + name_, out);
  enter(State::ehlo);
}

// The first line of a reply says most.
void RemoteOpening::note(const ReplyPiece& piece) {
  if (piece.first) result_.reply = one_line(piece);
}

void RemoteOpening::introduce(std::string_view name, Effects& out) {
  name_ = name;
  if (greeted()) say_ehlo(out);
}

void RemoteOpening::on_connected(RemotePlan plan) {
  if (state_ != State::connecting) return;
  plan_ = std::move(plan);
  tls_ = plan_.tls_first;
  enter(State::greeting);
}

void RemoteOpening::on_tls(Effects& out) {
  if (state_ != State::handshake) return;
  tls_ = true;
  before_tls_ = std::move(hello_);
  say_ehlo(out);
}

void RemoteOpening::on_tls_failed() {
  finish(Stage::tls_failed);
}

std::string_view RemoteOpening::due() const {
  switch (state_) {
    case State::connecting:
    case State::greeting: return "greeting";
    case State::greeted:
    case State::ehlo: return "reply to EHLO";
    case State::helo: return "reply to HELO";
    case State::starttls: return "reply to STARTTLS";
    case State::handshake: return "TLS handshake";
    case State::auth: return "reply to AUTH";
    case State::over: break;
  }
  return "reply";
}

// It speaks, and not as SMTP has it.
void RemoteOpening::misanswered(const ReplyPiece& piece) {
  if (over()) return;
  result_.trouble = wrong_answer(due(), piece);
  finish(Stage::lost);
}

void RemoteOpening::on_lost(std::string_view why, bool garbled) {
  if (over()) return;
  result_.garbled = garbled;
  result_.trouble = no_answer(due(), why);
  if (state_ == State::handshake) return finish(Stage::tls_failed);
  const bool tls_begins = state_ == State::starttls || (state_ == State::ehlo && tls_ && !plan_.tls_first);
  finish(tls_begins ? Stage::tls_broken : Stage::lost);
}

void RemoteOpening::on_reply(const ReplyPiece& piece, bool more, Effects& out) {
  switch (state_) {
    case State::greeting: return greeting(piece, out);
    case State::greeted: return greeted(piece);
    case State::ehlo: return ehlo(piece, out);
    case State::helo: return helo(piece);
    case State::starttls: return starttls(piece, more, out);
    case State::handshake: return finish(Stage::tls_injected);
    case State::auth: return auth(piece, out);
    case State::connecting: return misanswered(piece);
    case State::over: return;  // the dialogue does not ask
  }
}

void RemoteOpening::greeting(const ReplyPiece& piece, Effects& out) {
  greeting_ += print(piece, piece.text);
  if (piece.negative()) note(piece);
  if (!piece.last) return;
  if (piece.negative()) return finish(Stage::greeting_failed);
  if (piece.code != 220) return misanswered(piece);
  enter(State::greeted);
  if (!name_.empty()) say_ehlo(out);
}

// Nothing was asked: it takes its leave, or it is no SMTP server.
void RemoteOpening::greeted(const ReplyPiece& piece) {
  note(piece);
  result_.trouble = unasked_answer(piece);
  finish(Stage::lost);
}

void RemoteOpening::ehlo(const ReplyPiece& piece, Effects& out) {
  if (piece.negative()) return ehlo_refused(piece, out);
  if (piece.code != 250) return misanswered(piece);
  hello_.add_line(piece.text);
  if (!piece.last) return;
  if (!tls_) return before_tls(out);
  authenticate(out);
}

void RemoteOpening::ehlo_refused(const ReplyPiece& piece, Effects& out) {
  note(piece);
  if (!piece.last) return;
  const bool again = tls_ && !plan_.tls_first;
  if (again && wants_one_hello_only(piece.code)) return go_by_memory(out);
  if (!knows_no_ehlo(piece.code)) return finish(Stage::greeting_failed);
  // Who knows no EHLO has no STARTTLS, and HELO has no other use then.
  if (plan_.demand_tls && !tls_) return finish(Stage::tls_not_offered);
  result_.reply.clear();
  say("HELO " + name_, out);
  enter(State::helo);
}

// It understood EHLO before TLS, so it knows more than HELO, and it was told who we are. What it offered in plaintext
// may have been altered on the way: nothing is taken from it that changes how commands or content are framed.
void RemoteOpening::go_by_memory(Effects& out) {
  goes_by_memory_ = true;
  result_.reply.clear();
  hello_ = std::exchange(before_tls_, {});
  std::erase_if(hello_.keywords, [](const EhloKeyword& each) {
    return each.name == "STARTTLS" || each.name == "PIPELINING" || each.name == "CHUNKING" || each.name == "BINARYMIME";
  });
  authenticate(out);
}

void RemoteOpening::helo(const ReplyPiece& piece) {
  if (piece.negative()) note(piece);
  if (piece.first) hello_.add_line(piece.text);
  if (!piece.last) return;
  if (piece.negative()) return finish(Stage::greeting_failed);
  if (piece.code != 250) return misanswered(piece);
  if (!tls_ && (plan_.try_starttls || plan_.demand_tls)) return finish(Stage::tls_not_offered);
  if (authenticates()) return auth_impossible("the server does not offer AUTH");
  finish(Stage::open);
}

void RemoteOpening::before_tls(Effects& out) {
  if (plan_.try_starttls && hello_.has("STARTTLS")) {
    say("STARTTLS", out);
    return enter(State::starttls);
  }
  if (plan_.try_starttls || plan_.demand_tls) return finish(Stage::tls_not_offered);
  authenticate(out);
}

void RemoteOpening::starttls(const ReplyPiece& piece, bool more, Effects& out) {
  if (piece.code != 220) note(piece);
  if (!piece.last) return;
  // 421 is a refusal, too, but the connection ends with it.
  if (piece.negative() && piece.code != 421) return finish(Stage::tls_refused);
  if (piece.code != 220) return finish(Stage::tls_broken);
  // Octets behind the 220 were put there by somebody on the wire (CVE-2021-38371).
  if (more) return finish(Stage::tls_injected);
  out.start_tls(Side::server);
  enter(State::handshake);
}

void RemoteOpening::authenticate(Effects& out) {
  if (!authenticates()) return finish(Stage::open);
  if (!tls_) return auth_impossible("credentials never leave in plaintext");
  const EhloKeyword* offered = hello_.find("AUTH");
  if (offered == nullptr) return auth_impossible("the server does not offer AUTH");
  if (!has_word(offered->parameters, plan_.auth_mechanism)) {
    const std::string others = offered->parameters.empty() ? "" : ", only " + offered->parameters;
    return auth_impossible("the server does not offer AUTH " + plan_.auth_mechanism + others);
  }
  sasl_ = std::make_unique<SaslClient>(plan_.auth_mechanism, plan_.auth_user, plan_.auth_secret);
  plan_.auth_secret.clear();
  say(sasl_->command(), out);
  enter(State::auth);
}

void RemoteOpening::auth_impossible(std::string why) {
  result_.reply.clear();
  result_.trouble = std::move(why);
  finish(Stage::auth_failed);
}

void RemoteOpening::auth(const ReplyPiece& piece, Effects& out) {
  if (piece.negative()) note(piece);
  if (!piece.last) return;
  if (piece.code == 334) return challenge(out);
  if (piece.code == 235) return finish(Stage::open);
  if (!piece.negative()) return misanswered(piece);
  const auto shorter = sasl_ && complains_of_the_line(result_.reply) ? sasl_->shorter_command() : std::nullopt;
  if (!shorter) return finish(Stage::auth_failed);
  result_.reply.clear();
  say(*shorter, out);
}

void RemoteOpening::challenge(Effects& out) {
  if (!sasl_) {  // it goes on after "*"
    result_.trouble = "its AUTH goes on although it was called off";
    return finish(Stage::lost);
  }
  const std::string response = sasl_->respond();
  say(response, out);
  if (response == "*") sasl_.reset();
}

}  // namespace postern::smtp
