// The content of OutboundDialogue: what the client sends by DATA or BDAT, passed on or thrown away.
#include <algorithm>
#include <utility>

#include "tests/fuzz/twin/command.h"
#include "tests/fuzz/twin/outbound_dialogue.h"

namespace postern::smtp::before {

// --- BDAT

void OutboundDialogue::begin_chunk(State state, std::uint64_t size) {
  chunk_left_ = size;
  if (size > 0) enter(state);
}

void OutboundDialogue::bdat(const Command& command, const Line& line, bool in_input, Effects& out) {
  const auto argument = parse_bdat_argument(command.argument);
  if (!argument) return answer(Refusal::malformed_bdat, out);
  const bool at_once = transaction_.chunked && transaction_.refusal.empty();
  if (!at_once && !in_turn(line)) return;
  if (!transaction_.active()) return refuse_bdat(command, Refusal::mail_first, out);
  if (!transaction_.refusal.empty()) {
    turn_away(command, transaction_.refusal, out);
    return begin_chunk(State::discard_chunk, argument->size);
  }
  if (!transaction_.accepted || !transaction_.sent) return refuse_bdat(command, Refusal::recipients_first, out);
  // Offered by another connection: this server would take the chunk for commands.
  if (!link_.hello.has("CHUNKING")) return refuse_bdat(command, Refusal::remote_unusable, out);
  const auto& limit = facts_.listener->ehlo.size_limit;
  const std::uint64_t octets = transaction_.octets;
  if (limit && (octets > limit->bytes || argument->size > limit->bytes - octets)) return bdat_too_large(*argument, out);
  transaction_.octets += argument->size;
  transaction_.chunked = !argument->last;
  forward(line, in_input, argument->last ? Expected::last_chunk : Expected::chunk, out);
  begin_chunk(State::chunk, argument->size);
}

// Chunks that have reached the server are taken back with its transaction: RSET comes before the next MAIL.
void OutboundDialogue::bdat_too_large(const BdatArgument& argument, Effects& out) {
  out.message(MessageResult::refused_permanently);
  ++outcome_.messages_refused;
  outcome_.envelope.message_answered(row(Refusal::message_too_large).reply);
  transaction_.refusal = row(Refusal::message_too_large).reply;
  answer(Refusal::message_too_large, out);
  if (state_ == State::command) begin_chunk(State::discard_chunk, argument.size);
}

void OutboundDialogue::chunk(std::string_view& rest, Effects& out) {
  const auto octets = rest.substr(0, std::min<std::uint64_t>(rest.size(), chunk_left_));
  out.send(Side::backend, octets);
  rest.remove_prefix(octets.size());
  chunk_left_ -= octets.size();
  progress_ = true;
  if (chunk_left_ == 0) enter(State::command);
}

void OutboundDialogue::discard_chunk(std::string_view& rest, Effects&) {
  const std::uint64_t octets = std::min<std::uint64_t>(rest.size(), chunk_left_);
  rest.remove_prefix(octets);
  chunk_left_ -= octets;
  progress_ = true;
  if (chunk_left_ == 0) enter(State::command);
}

// --- DATA

void OutboundDialogue::content(std::string_view& rest, Effects& out) {
  constexpr std::uint64_t terminator = 3;  // ".CRLF" is no part of the message
  const auto& limit = facts_.listener->ehlo.size_limit;
  std::uint64_t& octets = transaction_.octets;
  bool over_limit = false;
  const auto scanned = scanner_.scan(rest, [&](std::string_view span) {
    octets += span.size();
    if (limit && octets > limit->bytes && octets - limit->bytes > terminator) over_limit = true;
    if (!over_limit) out.send(Side::backend, span);
  });
  rest.remove_prefix(scanned.consumed);
  progress_ = true;
  const bool rejected = scanned.outcome == ContentScanner::Outcome::rejected;
  const bool at_its_end = scanned.outcome != ContentScanner::Outcome::more;
  if (rejected || over_limit) {
    // What made it too large came before what was rejected.
    const Refusal refusal = over_limit ? Refusal::message_too_large : Refusal::bare_newline;
    out.refused(refusal, to_string(Verb::data));
    ++outcome_.errors;
    const Ending ending = over_limit ? Ending::message_too_large : Ending::bare_newline;
    return end_content({std::string(row(refusal).reply), ending}, at_its_end, out);
  }
  if (!at_its_end) return;
  expected_.push(Expected::end_of_data);
  enter(State::command);
}

// The message is refused without an end of data: the server, left in the middle of it, delivers nothing.
void OutboundDialogue::end_content(Verdict verdict, bool at_its_end, Effects& out) {
  const bool temporary = verdict.reply.starts_with('4');
  out.message(temporary ? MessageResult::refused_temporarily : MessageResult::refused_permanently);
  ++outcome_.messages_refused;
  outcome_.envelope.message_answered(verdict.reply);
  drop_remote(out);
  remote_.stage = RemoteState::Stage::lost;
  discard_message(std::move(verdict));
  if (at_its_end) give_verdict(out);
}

// A client that has authenticated cannot go on with another connection, where it has not.
void OutboundDialogue::discard_message(Verdict verdict) {
  if (standing_.authenticated && !verdict.ending) verdict.ending = Ending::backend_lost;
  verdict_ = std::make_unique<Verdict>(std::move(verdict));
  scanner_.discard();
  enter(State::discard_content);
}

void OutboundDialogue::discard_content(std::string_view& rest, Effects& out) {
  const auto scanned = scanner_.scan(rest, [](std::string_view) {});
  rest.remove_prefix(scanned.consumed);
  progress_ = true;
  if (scanned.outcome != ContentScanner::Outcome::more) give_verdict(out);
}

void OutboundDialogue::give_verdict(Effects& out) {
  const auto verdict = std::exchange(verdict_, nullptr);
  transaction_ = {};
  say(verdict->reply, out);
  if (verdict->ending) return finish(*verdict->ending, out);
  enter(State::command);
}

}  // namespace postern::smtp::before
