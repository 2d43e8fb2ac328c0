// The server's bytes as checked reply lines: bounded, and of one code within one reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"
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
  bool bare_lf = false;   // the terminator is a lone LF
  bool in_input = false;  // `raw` lies in the caller's input

  bool positive() const { return code / 100 == 2; }
  bool negative() const { return code / 100 >= 4; }
};

// Sends a reply line on to the client with CRLF, uncopied where that is possible.
void send_on(const ReplyPiece& piece, Effects& out);
// "220-text CRLF" or "220 text CRLF"
std::string print(const ReplyPiece& piece, std::string_view text);

class ReplyReader {
 public:
  // The next line of a reply off the front of `input`; nothing: no whole line left, all was consumed.
  // Errc::protocol: not SMTP (no reply line, NUL or bare CR, two codes in one reply), or more than a reply may hold.
  std::optional<Result<ReplyPiece>> next(std::string_view& input);

 private:
  LineReader lines_;
  std::uint16_t code_ = 0;  // of the reply under way; 0: none
  std::uint16_t line_count_ = 0;
  std::uint32_t octets_ = 0;
};

}  // namespace postern::smtp
