// One EHLO or HELO of the client carried to the server: XCLIENT where the server does not know the client yet, then
// EHLO, and HELO where the server does not know EHLO.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/twin/effects.h"
#include "tests/fuzz/twin/ehlo.h"
#include "tests/fuzz/twin/reply_reader.h"

namespace postern::smtp::before {

// That reply to EHLO means that the server does not know it: HELO comes next (RFC 5321 4.1.4). Other codes are policy.
bool knows_no_ehlo(int code);

// That refusal of EHLO or HELO may mean no more than that the server has heard one before on this connection.
bool wants_one_hello_only(int code);

class HelloExchange {
 public:
  // `first` are commands of ours, each with CRLF, that go before it, one at a time. `knows_ehlo`: the server has
  // taken an EHLO on this connection, and is never taken for one that knows HELO alone.
  HelloExchange(bool extended, std::string_view name, std::vector<std::string> first, bool knows_ehlo);

  void start(Effects& out);

  enum class Outcome : std::uint8_t {
    more,      // the line was for us
    pass_on,   // the line belongs to the client
    accepted,  // over: the server said yes (and the line was for us, unless the client said HELO)
    refused,   // over: the server said no, and this last line of it belongs to the client
    broken,    // over: no answer to what we said; why() has it
  };
  Outcome on_reply(const ReplyPiece& piece, Effects& out);

  std::string why(const ReplyPiece& broken) const;

  // What goes first has all been said and taken.
  bool introduced() const { return stage_ != Stage::xclient; }
  bool extended() const { return extended_; }           // the client said EHLO
  bool esmtp() const { return stage_ == Stage::ehlo; }  // … and the server knows it
  // What the server said to EHLO; after HELO only its greeting.
  const EhloReply& reply() const { return reply_; }

 private:
  enum class Stage : std::uint8_t { xclient, ehlo, helo };
  void say_next(Effects& out);
  void say_hello(Stage stage, Effects& out);
  Outcome xclient(const ReplyPiece& piece, Effects& out);
  Outcome ehlo(const ReplyPiece& piece, Effects& out);
  Outcome helo(const ReplyPiece& piece);

  std::string name_;
  std::vector<std::string> first_;  // to come, the last one first
  EhloReply reply_;
  Stage stage_ = Stage::ehlo;
  bool extended_;
  bool knows_ehlo_;
};

}  // namespace postern::smtp::before
