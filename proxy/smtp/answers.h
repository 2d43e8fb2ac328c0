// Whose reply comes next, and what of all that is said to the client counts: our own refusals in their turn, how far
// the server's codes are believed, and what became of each message.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/smtp/command.h"
#include "proxy/smtp/dialogue.h"
#include "proxy/smtp/effects.h"
#include "proxy/smtp/endings.h"
#include "proxy/smtp/expected_replies.h"
#include "proxy/smtp/refusals.h"

namespace postern::smtp {

class Answers : private ExpectedReplies {
 public:
  // After more than `error_limit` errors, refusals become too_many_errors. `outcome`, whose envelopes have what was
  // replied to messages, outlives this.
  Answers(std::uint32_t error_limit, DialogueOutcome& outcome) : error_limit_(error_limit), outcome_(outcome) {}

  // The server has been sent something that it must answer.
  void expect(Expected reply) { push(reply); }
  using ExpectedReplies::clear;
  using ExpectedReplies::empty;
  using ExpectedReplies::is_next;
  using ExpectedReplies::message_is_next;
  using ExpectedReplies::messages;
  using ExpectedReplies::own_is_next;
  using ExpectedReplies::pop;
  using ExpectedReplies::server;
  using ExpectedReplies::size;

  // A refusal of ours, behind everything that is owed before it: release() says it. True: the session ends with it, and
  // nothing more is taken from the client.
  bool refuse(Refusal refusal, Verb what, Effects& out);
  // Our own replies, as far as it is their turn; the ending of the one with which the session ends.
  std::optional<Ending> release(Effects& out);
  // … at once, whatever is owed.
  void refuse_now(Refusal refusal, Effects& out);
  // … without a reply, or with one that is said later or otherwise. `what` was refused, a verb; `reason`, if any, says
  // more than the row's reply.
  void note(Refusal refusal, std::string_view what, Effects& out, std::string_view reason = {});
  // … with `reply` in place of the row's, which is said in its turn: it is no error of the client's.
  void note_turned_away(Refusal refusal, std::string_view what, std::string_view reply, Effects& out);

  // Whether the server can mean `code` as its reply to what is next: 3yz only where it asks for more (content that
  // nobody reads as content must not follow it); no 2yz to what is not there yet, DATA itself or a chunk that is still
  // coming.
  bool believable(int code, bool chunk_under_way) const;

  // The verdict on a message: the server's, or ours.
  void message_replied(int code, Effects& out);
  void message_refused(std::string_view reply, Effects& out);
  // A message that was under way and will not be whole.
  void message_cut_off(std::string_view why, Effects& out);
  // The verdicts that are owed will not come: after 421 the server has taken none of these messages …
  void lose_messages(Effects& out);
  // … and else it may deliver what it has whole, and the client, which is told of no success, sends it again.
  // `chunk_under_way`: the last one may be half there.
  void doubt_messages(std::string_view why, bool chunk_under_way, Effects& out);

 private:
  std::uint32_t error_limit_;
  std::uint32_t errors_ = 0;
  DialogueOutcome& outcome_;
};

}  // namespace postern::smtp
