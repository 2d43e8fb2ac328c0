// The content of a message after DATA: where it ends, and what a bare CR or LF in it becomes.
// CRLF.CRLF alone ends it, in every mode; BDAT content never comes here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>

#include "config/settings.h"

namespace postern::smtp::before {

class ContentScanner {
 public:
  explicit ContentScanner(config::BareNewline mode) : mode_(mode), usual_mode_(mode) {}

  enum class Outcome : std::uint8_t {
    more,      // all input consumed, the end has not come
    end,       // the end of data was the last thing consumed; the rest of the input is not content
    rejected,  // BareNewline::reject and a bare CR or LF came
  };
  struct Result {
    Outcome outcome = Outcome::more;
    std::size_t consumed = 0;
  };

  // Scans `input` and calls sink(std::string_view) for every span to send on, in order: either a sub-span of `input` or
  // a string of static storage ("\r", "\r\n", ".", …). Well-formed content leaves as one span (two where a terminator
  // was cut between inputs): found with memchr/memmem, never octet by octet. No octet that could turn out to belong to
  // the end of data is sent before that is known: a message that ends early (client gone) has never had its CRLF.CRLF
  // sent. The final span includes CRLF.CRLF. normalize: bare CR or bare LF becomes CRLF, CR CR LF is one CRLF; a line
  // that is a lone dot only through that is dot-stuffed (leaves as ".." CRLF), so that the result holds exactly one
  // CRLF.CRLF, at its end. pass: everything goes untouched; only CRLF.CRLF ends. The first line counts as preceded by
  // CRLF (an empty message is ".CRLF").
  //
  // A bare newline is told from CRLF octet by octet: CR CR LF is one, CR CR CR LF is two, and what follows a bare LF or
  // CR does not count as preceded by CRLF. After end or rejected, reset() comes before the next scan.
  template <class Sink>
  Result scan(std::string_view input, Sink&& sink) {
    using Callee = std::remove_reference_t<Sink>;
    return scan_to(
        input, [](void* callee, std::string_view span) { (*static_cast<Callee*>(callee))(span); },
        const_cast<void*>(static_cast<const void*>(std::addressof(sink))));
  }

  // Octets of content passed on so far, terminator not counted (dot-stuffing included).
  std::uint64_t size() const { return size_; }
  // The rest of this message goes nowhere: bare newlines in it are text, so that only its end is an outcome.
  void discard();
  void reset();  // before the next message

 private:
  // What has been read of the line end or the end of data that may be under way. All of it but `text` is held back.
  enum class State : std::uint8_t {
    text,    // nothing
    cr,      // CR
    cr_cr,   // CR CR, only with normalize
    line,    // a line has begun (CRLF is held back if it came from the client)
    dot,     // … with a dot
    dot_cr,  // … with a dot and CR
    over,    // the end came, or the content was rejected
  };
  enum class LineStart : std::uint8_t {
    message,  // the first line: as good as CRLF, but there is none to send
    crlf,     // the client's own CRLF
    made,     // a CRLF of ours in place of a bare CR or LF, already sent: a lone dot here ends nothing
  };
  enum class Step : std::uint8_t { consumed, again, end, rejected };
  using Send = void (*)(void* sink, std::string_view span);
  class Unsent;

  Result scan_to(std::string_view input, Send send, void* sink);
  Step step(char octet, Unsent& unsent);
  Step bare_lf(Unsent& unsent);
  Step bare_cr(char octet, Unsent& unsent);
  Step two_crs(char octet, Unsent& unsent);
  Step dot_cr(char octet, Unsent& unsent);
  std::string_view held() const;

  config::BareNewline mode_;
  config::BareNewline usual_mode_;
  State state_ = State::line;
  LineStart line_start_ = LineStart::message;
  std::uint64_t size_ = 0;
};

}  // namespace postern::smtp::before
