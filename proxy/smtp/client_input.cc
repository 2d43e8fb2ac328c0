#include "proxy/smtp/client_input.h"

#include <algorithm>

#include "config/assert.h"

namespace postern::smtp {

namespace {

// AUTH may carry its first response (RFC 4954 4); other lines are held to the operator's limit once they are whole.
std::size_t line_limit(std::size_t commands, const ClientStanding& standing) {
  return standing.offers("AUTH") ? std::max(commands, auth_line_limit) : commands;
}

}  // namespace

ClientInput::Taken ClientInput::take(std::string_view& rest, const ClientStanding& standing, Effects& out) {
  switch (mode_) {
    case Mode::commands: return command(rest, standing);
    case Mode::response: return response(rest);
    case Mode::content: return content(rest, out);
    case Mode::chunk:
    case Mode::discard_chunk: return chunk(rest, out);
    case Mode::discard_content: return discard_content(rest);
  }
  return {};
}

void ClientInput::expect_response() {
  POSTERN_ASSERT(mode_ == Mode::commands, "a challenge in the middle of something");
  mode_ = Mode::response;
}

void ClientInput::expect_content() {
  POSTERN_ASSERT(mode_ == Mode::commands, "content in the middle of something");
  mode_ = Mode::content;
  scanner_.reset();
  octets_ = 0;
}

void ClientInput::expect_chunk(const BdatArgument& argument) {
  octets_ = argument.last ? 0 : octets_ + argument.size;
  chunk_left_ = argument.size;
  if (chunk_left_ > 0) mode_ = Mode::chunk;
}

void ClientInput::discard_chunk(const BdatArgument& argument) {
  chunk_left_ = argument.size;
  if (chunk_left_ > 0) mode_ = Mode::discard_chunk;
}

void ClientInput::discard() {
  if (mode_ == Mode::chunk) mode_ = Mode::discard_chunk;
  if (mode_ != Mode::content) return;
  mode_ = Mode::discard_content;
  scanner_.discard();
}

bool ClientInput::fits(std::uint64_t octets) const {
  const auto& limit = listener_->ehlo.size_limit;
  return !limit || (octets_ <= limit->bytes && octets <= limit->bytes - octets_);
}

ClientInput::Taken ClientInput::whole(Item item, const Line& line) {
  mode_ = Mode::commands;
  return {item, line};
}

// Octets that are no command are seen before their line is whole, which it may never be.
ClientInput::Taken ClientInput::command(std::string_view& rest, const ClientStanding& standing) {
  if (!lines_.partial() && is_no_command(rest)) {
    rest = {};
    return whole(Item::no_command);
  }
  auto line = lines_.next(rest, line_limit(listener_->limits.command_length, standing));
  if (!line) return {};
  forgive_end(*line);
  return whole(Item::command, *line);
}

ClientInput::Taken ClientInput::response(std::string_view& rest) {
  const auto line = lines_.next(rest, sasl_line_limit);
  return line ? whole(Item::response, *line) : Taken{};
}

ClientInput::Taken ClientInput::content(std::string_view& rest, Effects& out) {
  constexpr std::uint64_t terminator = 3;  // ".CRLF" is no part of the message
  const auto& limit = listener_->ehlo.size_limit;
  bool too_large = false;
  const auto scanned = scanner_.scan(rest, [&](std::string_view span) {
    octets_ += span.size();
    if (limit && octets_ > limit->bytes && octets_ - limit->bytes > terminator) too_large = true;
    if (!too_large) out.send(Side::server, span);
  });
  rest.remove_prefix(scanned.consumed);
  const bool at_its_end = scanned.outcome != ContentScanner::Outcome::more;
  if (too_large && !at_its_end) {
    discard();
    return {Item::too_large};
  }
  if (too_large) return whole(Item::too_large);  // first: what made it so came before what was rejected
  if (scanned.outcome == ContentScanner::Outcome::rejected) return whole(Item::bare_newline);
  if (!at_its_end) return {};
  octets_ = 0;
  return whole(Item::content_end);
}

ClientInput::Taken ClientInput::chunk(std::string_view& rest, Effects& out) {
  const auto octets = rest.substr(0, std::min<std::uint64_t>(rest.size(), chunk_left_));
  if (mode_ == Mode::chunk) out.send(Side::server, octets);
  rest.remove_prefix(octets.size());
  chunk_left_ -= octets.size();
  if (chunk_left_ > 0) return {};
  return whole(mode_ == Mode::chunk ? Item::chunk_end : Item::discarded);
}

ClientInput::Taken ClientInput::discard_content(std::string_view& rest) {
  const auto scanned = scanner_.scan(rest, [](std::string_view) {});
  rest.remove_prefix(scanned.consumed);
  return scanned.outcome == ContentScanner::Outcome::more ? Taken{} : whole(Item::discarded);
}

}  // namespace postern::smtp
