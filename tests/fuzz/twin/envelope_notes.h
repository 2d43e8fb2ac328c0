// Who wrote to whom in a session, for its log line: sender, recipients and what became of each message. Bounded;
// nothing is kept before the first MAIL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/twin/effects.h"
#include "tests/fuzz/twin/expected_replies.h"
#include "tests/fuzz/twin/reply_reader.h"

namespace postern::smtp::before {

class EnvelopeNotes {
 public:
  // What a session's notes take at most, in octets, bookkeeping counted; the containers may have room for as much
  // again. Envelopes without a message, and then the oldest, make room for new ones; recipients that find none are
  // counted.
  static constexpr std::size_t budget = 8192;

  EnvelopeNotes();
  ~EnvelopeNotes();

  // Nothing is noted.
  void disable() { enabled_ = false; }

  // A message begins; the argument is MAIL's. `answered`: its reply needs not be waited for to know whose are the next.
  void mail(std::string_view argument, bool answered = false);
  // RCPT goes to the server, or is refused by us with `reply`; the argument is RCPT's.
  void recipient(std::string_view argument);
  void recipient_refused(std::string_view argument, std::string_view reply);

  // A line of the server's reply `to` something. Replies come in the order of what they answer.
  void replied(Expected to, const ReplyPiece& piece);
  // The next recipient, or the message whose turn it is, gets a refusal of ours instead.
  void recipient_answered(std::string_view reply);
  void message_answered(std::string_view reply);
  // No reply to the message whose turn it is will come. Returns what is known of it; empty: nothing.
  std::string message_ended(MessageResult result);

  // One for each message that is kept, oldest first:
  // "from=<a@x> to=<b@y>,<c@y> refused=<d@y> (550 5.1.1 unknown) reply=(250 2.0.0 Ok: queued as 4711)".
  std::vector<std::string> items() const;
  // Messages that made room for others.
  std::uint64_t left_out() const;

 private:
  struct Message;
  struct Kept;

  Message* last() const;
  Message* answering() const;
  void make_room(std::size_t wanted);

  std::unique_ptr<Kept> kept_;
  bool enabled_ = true;
};

}  // namespace postern::smtp::before
