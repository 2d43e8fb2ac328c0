// The server's bytes as checked reply lines: bounded, and of one code within one reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/effects.h"
#include "proxy/smtp/lines.h"

namespace postern::smtp {

// One line of a reply. The views die with the next call on the reader or the change of its input.
struct ReplyPiece {
  int code = 0;
  bool first = true;      // of its reply
  bool last = true;       // of its reply
  std::string_view text;  // without code, separator and terminator
  std::string_view raw;   // as it came, terminator included
  bool odd_end = false;   // the terminator is not CR LF: a lone LF, or CRs before it
  bool in_input = false;  // `raw` lies in the caller's input

  bool positive() const { return code / 100 == 2; }
  bool negative() const { return code / 100 >= 4; }
};

// "220-text CRLF" or "220 text CRLF"
std::string print(const ReplyPiece& piece, std::string_view text);
// `"220 text"` for people, with its quotation marks: one harmless line, of 200 octets of text at most.
std::string quote(const ReplyPiece& piece);

// RFC 5321 4.5.3.1.5 allows 512 octets a line; real servers go beyond, none goes that far.
inline constexpr std::size_t reply_line_limit = 4096;
// "334 " and a challenge (RFC 4954 4).
inline constexpr std::size_t challenge_line_limit = 4 + sasl_line_limit;

class ReplyReader {
 public:
  // The next line of a reply off the front of `input`; nothing: no whole line left, all was consumed.
  // Lines without content are passed over (some servers end lines with CR CR LF, or replies with an empty line), ten
  // of them in a row at most. Errc::protocol, with a sentence that quotes the server: not SMTP (no reply line, NUL or
  // CR within a line, two codes in one reply), or more than a reply may hold (1,000 lines, 64 KiB, `line_limit`
  // octets a line).
  std::optional<Result<ReplyPiece>> next(std::string_view& input, std::size_t line_limit = reply_line_limit);

  // Sends a reply on to the client with CR LF, but not before its last line has come: the beginning of one that is cut
  // off could be taken for the whole. A reply of one line is not copied where that is possible; what waits of a longer
  // one is bounded as it is in next().
  void hand_on(const ReplyPiece& piece, Effects& out);
  // … with `line` in place of what the server said.
  void hand_on(const ReplyPiece& piece, std::string line, Effects& out);
  // What waits of the reply under way is not sent.
  void withhold() { waiting_.reset(); }

  // Lines passed over since this was asked last.
  std::uint32_t take_blank_lines() { return std::exchange(blank_lines_, 0); }

 private:
  Result<ReplyPiece> checked(const Line& line);

  LineReader lines_;
  std::unique_ptr<std::string> waiting_;  // what hand_on() was given of the reply under way
  std::uint32_t octets_ = 0;              // of it
  std::uint32_t blank_lines_ = 0;
  std::uint16_t code_ = 0;  // of the reply under way; 0: none
  std::uint16_t line_count_ = 0;
  std::uint8_t blank_in_a_row_ = 0;
};

}  // namespace postern::smtp
