#include "proxy/smtp/reply_reader.h"

#include <utility>

#include "proxy/smtp/octets.h"
#include "proxy/smtp/reply.h"

namespace postern::smtp {

namespace {

constexpr std::uint32_t reply_limit = 64 * 1024;
constexpr std::uint16_t line_count_limit = 1000;
constexpr std::uint8_t blank_limit = 10;
constexpr std::size_t quoted_length = 200;

tl::unexpected<Error> not_smtp(std::string_view what, std::string_view line) {
  return fail(Errc::protocol,
              std::string(what) + ": \"" + config::without_controls(line.substr(0, quoted_length)) + "\"");
}

}  // namespace

std::string print(const ReplyPiece& piece, std::string_view text) {
  std::string line = std::to_string(piece.code);
  line += piece.last ? ' ' : '-';
  line += text;
  return line += "\r\n";
}

std::string quote(const ReplyPiece& piece) {
  return '"' + std::to_string(piece.code) + " " + config::without_controls(piece.text.substr(0, quoted_length)) + "\"";
}

std::optional<Result<ReplyPiece>> ReplyReader::next(std::string_view& input, std::size_t line_limit) {
  for (;;) {
    auto line = lines_.next(input, line_limit);
    if (!line && lines_.skipping()) return fail(Errc::protocol, "a reply line is too long");  // its end may never come
    if (!line) return std::nullopt;
    if (line->too_long) return fail(Errc::protocol, "a reply line is too long");
    forgive_end(*line);
    if (!is_blank_line(line->text)) return checked(*line);
    ++blank_lines_;
    if (++blank_in_a_row_ > blank_limit) return fail(Errc::protocol, "nothing but empty lines in place of a reply");
  }
}

Result<ReplyPiece> ReplyReader::checked(const Line& line) {
  blank_in_a_row_ = 0;
  if (line.nul || line.bare_cr) return not_smtp("a reply holds NUL or a bare CR", line.text);
  const auto reply = parse_reply_line(line.text);
  if (!reply) return not_smtp("a line that is no reply", line.text);
  const bool first = code_ == 0;
  if (!first && reply->code != code_) return not_smtp("a reply has two codes", line.text);
  octets_ += static_cast<std::uint32_t>(line.raw.size());
  if (++line_count_ > line_count_limit || octets_ > reply_limit) return fail(Errc::protocol, "a reply is too long");

  code_ = static_cast<std::uint16_t>(reply->code);
  if (reply->last) {
    code_ = 0;
    line_count_ = 0;
    octets_ = 0;
  }
  return ReplyPiece{.code = reply->code,
                    .first = first,
                    .last = reply->last,
                    .text = reply->text,
                    .raw = line.raw,
                    .odd_end = line.bare_lf,
                    .in_input = line.in_input};
}

void ReplyReader::hand_on(const ReplyPiece& piece, Effects& out) {
  if (piece.odd_end) {
    const auto end = piece.raw.find_last_not_of("\r\n") + 1;
    return hand_on(piece, std::string(piece.raw.substr(0, end)) + "\r\n", out);
  }
  if (!piece.first || !piece.last) return hand_on(piece, std::string(piece.raw), out);
  if (piece.in_input) return out.send(Side::client, piece.raw);
  out.send_copy(Side::client, piece.raw);
}

void ReplyReader::hand_on(const ReplyPiece& piece, std::string line, Effects& out) {
  if (waiting_) {
    *waiting_ += line;
  } else {
    waiting_ = std::make_unique<std::string>(std::move(line));
  }
  if (piece.last) out.send_copy(Side::client, *std::exchange(waiting_, nullptr));
}

}  // namespace postern::smtp
