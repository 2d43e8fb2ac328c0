// Takes the content of DATA apart: removes dot-stuffing and finds the end (RFC 5321 4.5.2). Written apart from the
// gateway's own scanner on purpose, so that a mistake of one shows in tests against the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace postern::sink {

class DotDecoder {
 public:
  // Decodes from the front of `input`; calls take(std::string_view) for every piece of content. Only CRLF.CRLF ends
  // (or .CRLF at once); bare CR and LF are content.
  struct Progress {
    std::size_t consumed = 0;
    bool end = false;
  };
  template <class Take>
  Progress decode(std::string_view input, Take&& take) {
    std::size_t kept_from = 0;  // start of the content not yet given to take()
    std::size_t at = 0;
    const auto give = [&](std::size_t until) {
      if (until > kept_from) take(input.substr(kept_from, until - kept_from));
    };
    while (at < input.size()) {
      const char c = input[at];
      switch (state_) {
        case State::line:
          at = input.find('\r', at);
          if (at == input.npos) {
            give(input.size());
            return {input.size(), false};
          }
          ++at;
          state_ = State::cr;
          continue;
        case State::cr: state_ = c == '\n' ? State::line_start : c == '\r' ? State::cr : State::line; break;
        case State::line_start:
          if (c == '.') {
            give(at);
            kept_from = at + 1;
            state_ = State::dot;
          } else {
            state_ = c == '\r' ? State::cr : State::line;
          }
          break;
        case State::dot:
          if (c == '\r') {
            kept_from = at + 1;
            state_ = State::dot_cr;
          } else {
            state_ = State::line;
          }
          break;
        case State::dot_cr:
          if (c == '\n') {
            state_ = State::line_start;
            return {at + 1, true};
          }
          take(std::string_view("\r"));
          kept_from = at;
          state_ = c == '\r' ? State::cr : State::line;
          break;
      }
      ++at;
    }
    give(input.size());
    return {input.size(), false};
  }

 private:
  enum class State : std::uint8_t {
    line_start,
    line,
    cr,      // within a line, after CR
    dot,     // after the dot that began a line, which is not content
    dot_cr,  // after that dot and CR, which is content unless LF follows
  };
  State state_ = State::line_start;
};

}  // namespace postern::sink
