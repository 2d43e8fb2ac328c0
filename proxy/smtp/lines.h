// Bytes to lines, with the length limit, and bare CR, bare LF and NUL told apart.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postern::smtp {

// One line off the wire. The views die with the next call on the reader or the change of its input.
struct Line {
  std::string_view text;  // without its terminator; empty when too_long
  std::string_view raw;   // with its terminator, exactly as it came; empty when too_long
  bool bare_lf = false;   // ended by LF without CR (or with more than one: forgive_end)
  bool bare_cr = false;   // holds a CR that no LF follows
  bool nul = false;       // holds a NUL
  bool too_long = false;  // over the limit: skipped whole, reported once, when its end has come
  bool in_input = false;  // `raw` lies in the caller's input
};

class LineReader {
 public:
  // Takes the next line off the front of `input` (RFC 5321 2.3.8). A line that lies wholly in `input` is returned
  // as a view into it, untouched; one cut over several inputs is assembled inside (at most `limit` octets, freed
  // once it has been taken). `limit` counts octets with the terminator. Empty: no whole line yet, all of
  // `input` was consumed.
  std::optional<Line> next(std::string_view& input, std::size_t limit);

  // Octets of an unfinished line are waiting.
  bool partial() const { return skipping_ || (!taken_ && !pending_.empty()); }
  // The unfinished line is over the limit already.
  bool skipping() const { return skipping_; }
  // Forgets an unfinished line.
  void reset();

 private:
  std::optional<Line> assembled(std::string_view end, std::size_t limit);
  void keep(std::string_view& input, std::size_t limit);
  void forget_pending();

  std::string pending_;    // the unfinished line; no capacity kept while empty
  bool skipping_ = false;  // dropping the rest of a line that was too long
  bool taken_ = false;     // pending_ was handed out by the last call
};

// Takes CRs before the terminator for part of it, as if that were a lone LF: what writes text files so ends each line
// by CR CR LF.
void forgive_end(Line& line);

// What begins like this is no SMTP command: NUL, an octet above 127 or the start of a TLS record. Seen before the line
// is whole, which it may never be.
bool is_no_command(std::string_view line);
// … for the record.
inline constexpr std::string_view spoke_no_smtp =
    "the client spoke TLS (or something else that is no SMTP) in place of a command: TLS begins with STARTTLS here, if "
    "at all";

}  // namespace postern::smtp
