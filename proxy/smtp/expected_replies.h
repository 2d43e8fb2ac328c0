// Whose reply comes next: the server's to a command we sent, or one of our own that must wait for its turn
// (RFC 2920: replies come in the order of the commands).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/smtp/refusals.h"

namespace postern::smtp {

// What a reply of the server answers.
enum class Expected : std::uint8_t {
  plain,        // passed on, changes nothing
  mail,         // 2yz opens a transaction
  reset,        // RSET: 2yz ends it
  hello,        // EHLO or HELO, and what we say to the server before it
  data,         // 354 starts the content
  end_of_data,  // the verdict on a message
  chunk,        // BDAT
  last_chunk,   // BDAT LAST: the verdict on a message
  auth,         // AUTH or a SASL response: 334 asks for a line
  quit,
  swallowed,  // answers a command of ours, the client never sees it
  recipient,  // RCPT (outbound)
};

std::string_view to_string(Expected reply);  // to what: "DATA", "a message"

// For the record, where the verdict on a message has not come, and `why` as far as that is known.
std::string may_come_twice(std::string_view why);

// How many replies may be outstanding; beyond it the client waits.
inline constexpr std::size_t outstanding_limit = 1000;

// One octet per outstanding reply; nothing allocated while few are.
class ExpectedReplies {
 public:
  void push(Expected reply);
  void push_own(Refusal refusal);

  bool empty() const { return head_ == entries_.size(); }
  std::size_t size() const { return entries_.size() - head_; }

  bool own_is_next() const;
  Refusal own() const;                 // own_is_next()
  Expected server() const;             // not empty, not own_is_next()
  bool is_next(Expected reply) const;  // the server's, and of this kind
  bool message_is_next() const;        // the server owes the verdict on a message next
  bool message_is_last() const;        // … behind everything else
  std::size_t messages() const;        // verdicts on messages that the server owes
  void pop();
  void clear();

 private:
  std::string entries_;  // from head_ on: Expected, or own_bit and a Refusal
  std::uint32_t head_ = 0;
};

}  // namespace postern::smtp
