#include "proxy/smtp/answers.h"

namespace postern::smtp {

// --- our own

bool Answers::refuse(Refusal refusal, Verb what, Effects& out) {
  if (row(refusal).is_error && ++errors_ > error_limit_ && !row(refusal).ends) refusal = Refusal::too_many_errors;
  out.refused(refusal, to_string(what));
  push_own(refusal);
  return row(refusal).ends;
}

std::optional<Ending> Answers::release(Effects& out) {
  while (own_is_next()) {
    const RefusalRow& refusal = row(own());
    pop();
    out.send(Side::client, refusal.reply);
    if (refusal.ends) return refusal.ending;
  }
  return std::nullopt;
}

void Answers::refuse_now(Refusal refusal, Effects& out) {
  out.refused(refusal);
  out.send(Side::client, row(refusal).reply);
}

void Answers::note(Refusal refusal, std::string_view what, Effects& out, std::string_view reason) {
  if (row(refusal).is_error) ++errors_;
  out.refused(refusal, what, reason);
}

void Answers::note_turned_away(Refusal refusal, std::string_view what, std::string_view reply, Effects& out) {
  out.turned_away(refusal, what, reply);
}

// --- the server's

bool Answers::believable(int code, bool chunk_under_way) const {
  const Expected to = server();
  switch (code / 100) {
    case 2: return to != Expected::data && !(chunk_under_way && size() == 1);
    case 3: return (to == Expected::data && code == 354) || (to == Expected::auth && code == 334);
    default: return true;
  }
}

// --- messages

void Answers::message_replied(int code, Effects& out) {
  if (code / 100 == 2) return out.message(MessageResult::accepted);
  out.message(code / 100 == 4 ? MessageResult::refused_temporarily : MessageResult::refused_permanently);
}

void Answers::message_refused(std::string_view reply, Effects& out) {
  out.message(reply.starts_with('4') ? MessageResult::refused_temporarily : MessageResult::refused_permanently);
  outcome_.envelope.message_answered(reply);
}

void Answers::message_cut_off(std::string_view why, Effects& out) {
  out.message(MessageResult::lost, why, outcome_.envelope.message_ended(MessageResult::lost));
}

void Answers::lose_messages(Effects& out) {
  for (std::size_t owed = messages(); owed > 0; --owed) message_cut_off({}, out);
}

void Answers::doubt_messages(std::string_view why, bool chunk_under_way, Effects& out) {
  const bool half = chunk_under_way && message_is_last();
  const std::size_t owed = messages();
  for (std::size_t left = owed; left > (half ? 1 : 0); --left) {
    out.message(MessageResult::in_doubt, why, outcome_.envelope.message_ended(MessageResult::in_doubt));
  }
  if (half) message_cut_off(why, out);
  if (owed > (half ? 1 : 0)) out.because(may_come_twice(why));
}

}  // namespace postern::smtp
