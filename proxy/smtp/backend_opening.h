// The gateway's own words with a server before the client's first command reaches it: its greeting, STARTTLS where the
// operator wants TLS to the server, and whether it takes XCLIENT where it shall know the client.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "proxy/smtp/effects.h"
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/endings.h"
#include "proxy/smtp/reply_reader.h"

namespace postern::smtp {

class BackendOpening {
 public:
  enum class State : std::uint8_t {
    connecting,
    greeting,  // its 220
    ehlo,      // our EHLO, to see whether it offers STARTTLS
    starttls,  // its 220 to STARTTLS
    handshake,
    xclient_ehlo,  // our EHLO, to see what XCLIENT may say
    open,          // ready for the client; reply() is a 220
    rejected,      // it refused the session; reply() is what it said
    failed,        // failure() says why
  };

  // `listener` and `hostname` outlive the opening.
  BackendOpening(const config::InboundListener& listener, std::string_view hostname)
      : listener_(listener), hostname_(hostname) {}

  void on_connected();
  // `more`: further octets of the server came in the same input.
  void on_reply(const ReplyPiece& piece, bool more, Effects& out);
  void on_tls(Effects& out);

  State state() const { return state_; }
  bool over() const { return state_ >= State::open; }
  // The server's greeting, or its refusal: whole lines, `ehlo.name` in place of the server's name.
  const std::string& reply() const { return reply_; }
  int code() const { return code_; }
  Ending failure() const { return failure_; }
  const std::string& why() const { return why_; }  // … for people
  // It has taken an EHLO of ours.
  bool knows_ehlo() const { return knows_ehlo_; }
  // The parameters of the server's XCLIENT keyword, where the client's EHLO has to be preceded by XCLIENT.
  const std::string& xclient_parameters() const { return xclient_parameters_; }

 private:
  void enter(State state);
  void fail_with(Ending ending, std::string why);
  void say(std::string_view command, Effects& out) const;
  void ask_for_keywords(State next, Effects& out);
  void after_tls(Effects& out);

  void greeting(const ReplyPiece& piece, Effects& out);
  void ehlo(const ReplyPiece& piece, Effects& out);
  void starttls(const ReplyPiece& piece, bool more, Effects& out);
  void xclient_ehlo(const ReplyPiece& piece);
  void keep(const ReplyPiece& piece);

  const config::InboundListener& listener_;
  std::string_view hostname_;
  State state_ = State::connecting;
  Ending failure_ = Ending::server_unreachable;
  int code_ = 0;
  std::string reply_;
  std::string why_;
  bool knows_ehlo_ = false;
  EhloReply keywords_;
  std::string xclient_parameters_;
};

}  // namespace postern::smtp
