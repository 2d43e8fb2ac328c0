#include "tests/fuzz/twin/expected_replies.h"

#include <algorithm>

#include "config/assert.h"

namespace postern::smtp::before {

namespace {

constexpr unsigned char own_bit = 0x80;
static_assert(refusal_count < own_bit);

// Spent entries are cut off when there are this many: seldom enough to cost nothing.
constexpr std::size_t compact_at = 1024;

bool is_message(char entry) {
  return entry == static_cast<char>(Expected::end_of_data) || entry == static_cast<char>(Expected::last_chunk);
}

}  // namespace

std::string_view to_string(Expected reply) {
  switch (reply) {
    case Expected::plain: return "a command";
    case Expected::mail: return "MAIL";
    case Expected::reset:
    case Expected::swallowed: return "RSET";
    case Expected::hello: return "EHLO";
    case Expected::data: return "DATA";
    case Expected::end_of_data:
    case Expected::last_chunk: return "a message";
    case Expected::chunk: return "BDAT";
    case Expected::auth: return "AUTH";
    case Expected::quit: return "QUIT";
    case Expected::recipient: return "RCPT";
  }
  return "a command";
}

std::string may_come_twice(std::string_view why) {
  std::string sentence(why);
  if (!why.empty()) sentence += "; ";
  return sentence + "the server was given a whole message and its reply was not had: it may be delivered twice";
}

void ExpectedReplies::push(Expected reply) {
  entries_.push_back(static_cast<char>(reply));
}

void ExpectedReplies::push_own(Refusal refusal) {
  entries_.push_back(static_cast<char>(own_bit | static_cast<unsigned char>(refusal)));
}

bool ExpectedReplies::own_is_next() const {
  return !empty() && (static_cast<unsigned char>(entries_[head_]) & own_bit) != 0;
}

Refusal ExpectedReplies::own() const {
  POSTERN_ASSERT(own_is_next(), "the next reply is not ours");
  return static_cast<Refusal>(static_cast<unsigned char>(entries_[head_]) & ~own_bit);
}

Expected ExpectedReplies::server() const {
  POSTERN_ASSERT(!empty() && !own_is_next(), "the next reply is not the server's");
  return static_cast<Expected>(entries_[head_]);
}

bool ExpectedReplies::is_next(Expected reply) const {
  return !empty() && entries_[head_] == static_cast<char>(reply);
}

bool ExpectedReplies::message_is_next() const {
  return !empty() && is_message(entries_[head_]);
}

bool ExpectedReplies::message_is_last() const {
  return !empty() && is_message(entries_.back());
}

std::size_t ExpectedReplies::messages() const {
  const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(head_);
  return static_cast<std::size_t>(std::count_if(first, entries_.end(), is_message));
}

void ExpectedReplies::pop() {
  POSTERN_ASSERT(!empty(), "no reply is expected");
  ++head_;
  if (empty()) {
    clear();
  } else if (head_ >= compact_at) {
    entries_.erase(0, head_);
    head_ = 0;
  }
}

void ExpectedReplies::clear() {
  if (entries_.capacity() > std::string().capacity()) std::string().swap(entries_);
  entries_.clear();
  head_ = 0;
}

}  // namespace postern::smtp::before
