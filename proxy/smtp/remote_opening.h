// Our own words with a remote server before any mail: its greeting, EHLO, STARTTLS, EHLO again, AUTH. It ends with a
// stage for policies to judge; whatever it is, no envelope has been sent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/smtp/effects.h"
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/reply_reader.h"
#include "proxy/smtp/sasl_client.h"

namespace postern::smtp {

// How to begin with a remote server: the session's plan for the connection that it has just made.
struct RemotePlan {
  bool tls_first = false;      // implicit TLS: the handshake comes before the greeting (the session does it)
  bool try_starttls = true;    // use STARTTLS where it is offered
  bool demand_tls = false;     // say nothing but EHLO, STARTTLS and QUIT in plaintext
  std::string auth_mechanism;  // "PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"; empty: none
  std::string auth_user;
  std::string auth_secret;  // password or token; never in any log or record
};

// How far we came with the remote server. Policies judge it.
struct RemoteState {
  enum class Stage : std::uint8_t {
    none,  // not connected yet
    connect_failed,
    greeting_failed,  // a 4yz or 5yz greeting or EHLO reply: `reply` holds it
    lost,             // closed, silent too long, or not SMTP: `trouble` says which
    tls_not_offered,  // open, in plaintext
    tls_refused,      // STARTTLS was answered 4yz (not 421) or 5yz (`reply`); open, in plaintext
    tls_injected,     // octets behind the 220 to STARTTLS: never to be used
    tls_failed,       // the handshake failed: nothing more can be said on this connection
    tls_broken,   // STARTTLS was offered, and not answered as SMTP does (`reply`, if anything was); or the connection
                  // was lost before the first reply inside TLS (a server's refusal of a TLS 1.3 handshake comes late)
    auth_failed,  // `reply` holds the server's refusal; where it was not asked, `reply` is empty and `trouble` says why
    open,         // TLS as planned (or plaintext where the plan does not try TLS), ready for MAIL
  };
  Stage stage = Stage::none;
  std::string reply;  // one line, without CRLF
  std::string trouble =
      {};                // lost, or TLS or AUTH that came to nothing: what happened, for people; empty: nobody knows
  bool served = false;   // lost, and mail had been sent there before: it may be good for another connection
  bool garbled = false;  // what happened: it said what is no reply
  bool offers_auth = false;  // its last EHLO reply did

  // Commands can be sent on the connection.
  bool usable() const {
    return stage == Stage::tls_not_offered || stage == Stage::tls_refused || stage == Stage::auth_failed ||
           stage == Stage::open;
  }
};

// What a server did instead of what was due ("reply to EHLO"), for replies of ours and for the log, as one line.
std::string no_answer(std::string_view due, std::string_view why);        // no reply to EHLO: the connection was closed
std::string wrong_answer(std::string_view due, const ReplyPiece& piece);  // wrong reply to EHLO: "354 go ahead"
std::string unasked_answer(const ReplyPiece& piece);                      // it spoke unasked: "421 bye"

// Why there is no TLS, for people; `error` is the connection's or the handshake's own. Empty: it was not offered.
std::string tls_trouble(const RemoteState& state, std::string_view error);

class RemoteOpening {
 public:
  enum class State : std::uint8_t {
    connecting,
    greeting,
    greeted,  // waits for introduce()
    ehlo,
    helo,
    starttls,  // its 220 to STARTTLS
    handshake,
    auth,
    over,
  };

  // `name` is what the client calls itself; empty: not known yet.
  explicit RemoteOpening(std::string_view name) : name_(name) {}

  void introduce(std::string_view name, Effects& out);

  void on_connected(RemotePlan plan);
  // `more`: further octets of the server came in the same input.
  void on_reply(const ReplyPiece& piece, bool more, Effects& out);
  void on_tls(Effects& out);
  void on_tls_failed();
  void on_connect_failed() { finish(RemoteState::Stage::connect_failed); }
  // `garbled`: the connection was given up, as what came there is no reply.
  void on_lost(std::string_view why = "the connection was closed", bool garbled = false);

  State state() const { return state_; }
  bool over() const { return state_ == State::over; }
  bool greeted() const { return state_ == State::greeted; }
  // EHLO, HELO or more has been said.
  bool introduced() const { return introduced_; }

  const RemoteState& result() const { return result_; }      // over()
  const std::string& greeting() const { return greeting_; }  // whole lines
  const EhloReply& hello() const { return hello_; }          // the last one; after HELO only its greeting
  bool tls() const { return tls_; }
  // hello() is from before TLS: the server took no second EHLO.
  bool goes_by_memory() const { return goes_by_memory_; }
  bool authenticating() const { return state_ == State::auth; }
  bool authenticates() const { return !plan_.auth_mechanism.empty(); }
  bool demands_tls() const { return plan_.demand_tls; }

 private:
  void enter(State state);
  void finish(RemoteState::Stage stage);
  void say(std::string_view line, Effects& out) const;
  void say_ehlo(Effects& out);
  void note(const ReplyPiece& piece);
  std::string_view due() const;
  void misanswered(const ReplyPiece& piece);

  void greeting(const ReplyPiece& piece, Effects& out);
  void greeted(const ReplyPiece& piece);
  void ehlo(const ReplyPiece& piece, Effects& out);
  void ehlo_refused(const ReplyPiece& piece, Effects& out);
  void go_by_memory(Effects& out);
  void helo(const ReplyPiece& piece);
  void starttls(const ReplyPiece& piece, bool more, Effects& out);
  void auth(const ReplyPiece& piece, Effects& out);
  void challenge(Effects& out);
  void before_tls(Effects& out);
  void authenticate(Effects& out);
  void auth_impossible(std::string why);

  std::string name_;
  RemotePlan plan_;
  RemoteState result_;
  std::string greeting_;
  EhloReply hello_;
  EhloReply before_tls_;
  std::unique_ptr<SaslClient> sasl_;
  State state_ = State::connecting;
  bool tls_ = false;
  bool introduced_ = false;
  bool goes_by_memory_ = false;
};

}  // namespace postern::smtp
