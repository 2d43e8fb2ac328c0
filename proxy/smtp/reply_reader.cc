#include "proxy/smtp/reply_reader.h"

#include <functional>

#include "proxy/smtp/reply.h"

namespace postern::smtp {

namespace {

// RFC 5321 4.5.3.1.5 allows 512 octets a line; real servers go beyond, none goes that far.
constexpr std::size_t line_limit = 4096;
constexpr std::uint32_t reply_limit = 64 * 1024;
constexpr std::uint16_t line_count_limit = 1000;

bool lies_in(std::string_view part, std::string_view whole) {
  const std::less_equal<const char*> not_after;
  return not_after(whole.data(), part.data()) && not_after(part.data() + part.size(), whole.data() + whole.size());
}

}  // namespace

void send_on(const ReplyPiece& piece, Effects& out) {
  if (piece.bare_lf) {
    std::string line(piece.raw.substr(0, piece.raw.size() - 1));
    out.send_copy(Side::client, line + "\r\n");
  } else if (piece.in_input) {
    out.send(Side::client, piece.raw);
  } else {
    out.send_copy(Side::client, piece.raw);
  }
}

std::string print(const ReplyPiece& piece, std::string_view text) {
  std::string line = std::to_string(piece.code);
  line += piece.last ? ' ' : '-';
  line += text;
  return line += "\r\n";
}

std::optional<Result<ReplyPiece>> ReplyReader::next(std::string_view& input) {
  const std::string_view whole = input;
  const auto line = lines_.next(input, line_limit);
  if (!line && lines_.skipping()) return fail(Errc::protocol, "a reply line is too long");  // its end may never come
  if (!line) return std::nullopt;
  if (line->too_long) return fail(Errc::protocol, "a reply line is too long");
  if (line->nul || line->bare_cr) return fail(Errc::protocol, "a reply holds NUL or a bare CR");
  const auto reply = parse_reply_line(line->text);
  if (!reply) return fail(Errc::protocol, "a line is no reply");
  const bool first = code_ == 0;
  if (!first && reply->code != code_) return fail(Errc::protocol, "a reply has two codes");
  octets_ += static_cast<std::uint32_t>(line->raw.size());
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
                    .raw = line->raw,
                    .bare_lf = line->bare_lf,
                    .in_input = lies_in(line->raw, whole)};
}

}  // namespace postern::smtp
