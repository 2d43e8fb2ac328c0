// The content of a message after DATA: where it ends, and what a bare CR or LF in it becomes.
// CRLF.CRLF alone ends it, in every mode; BDAT content never comes here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/settings.h"

namespace postern::smtp {

class ContentScanner {
 public:
  explicit ContentScanner(config::BareNewline mode) : mode_(mode) {}

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
  template <class Sink>
  Result scan(std::string_view input, Sink&& sink);

  // Octets of content passed on so far, terminator not counted (dot-stuffing included).
  std::uint64_t size() const { return size_; }
  void reset();  // before the next message

 private:
  config::BareNewline mode_;
  std::uint64_t size_ = 0;
  // state: implementer's choice
};

}  // namespace postern::smtp
