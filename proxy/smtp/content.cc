#include "proxy/smtp/content.h"

#include <algorithm>
#include <cstring>

#include "config/assert.h"

namespace postern::smtp {

namespace {

using config::BareNewline;

constexpr std::string_view crlf = "\r\n";
constexpr std::size_t terminator_size = 3;  // ".\r\n": the CRLF before it belongs to the message's last line

// Sixteen octets at once: a comparison gives all ones where it holds. Both compilers turn this into plain SSE2 or NEON;
// left to itself, clang does not vectorize the loop.
using Octets = signed char __attribute__((vector_size(16)));

Octets load(const char* from) {
  Octets octets;
  std::memcpy(&octets, from, sizeof octets);
  return octets;
}

// Which pairs of neighbouring octets need a closer look; for single octets and for vectors of them.
struct BareOrDot {
  template <class T>
  static auto odd(T first, T second) {
    return ((first == '\r') ^ (second == '\n')) | ((first == '\n') & (second == '.'));
  }
};
struct DotOnly {
  template <class T>
  static auto odd(T first, T second) {
    return (first == '\n') & (second == '.');
  }
};

constexpr std::size_t block_size = 64;

template <class Pair>
bool block_is_plain(const char* octets) {
  Octets found{};
  for (std::size_t i = 0; i < block_size; i += sizeof found) found |= Pair::odd(load(octets + i), load(octets + i + 1));
  std::uint64_t halves[2];
  std::memcpy(halves, &found, sizeof halves);
  return (halves[0] | halves[1]) == 0;
}

// The first index from `at` on whose octet and its follower make an odd pair; the last index if there is none.
template <class Pair>
std::size_t find_odd_pair(std::string_view input, std::size_t at) {
  const std::size_t last = input.size() - 1;
  while (last - at >= block_size && block_is_plain<Pair>(input.data() + at)) at += block_size;
  while (at < last && !Pair::odd(input[at], input[at + 1])) ++at;
  return at;
}

// Skips text and well-formed line ends from `at` on, where no CR is pending. The result is input.size(), or where
// to go on octet by octet; a CRLF is never torn.
std::size_t skip_plain(std::string_view input, std::size_t at, BareNewline mode) {
  if (input[at] == '\n') return at;
  const std::size_t found = mode == BareNewline::pass ? find_odd_pair<DotOnly>(input, at)  //
                                                      : find_odd_pair<BareOrDot>(input, at);
  if (input[found] == '\n' && found > at && input[found - 1] == '\r') return found - 1;
  const bool at_end = found == input.size() - 1;
  return at_end && input[found] != '\r' && input[found] != '\n' ? input.size() : found;
}

}  // namespace

// What has been read and not been sent: octets held back since an earlier input, then those of this one.
class ContentScanner::Unsent {
 public:
  Unsent(std::string_view held, std::string_view input, Send send, void* sink, std::uint64_t& size)
      : held_(held), input_(input), send_(send), sink_(sink), size_(size) {}

  std::size_t read = 0;  // octets of the input read so far

  // Sends everything but the last `keep` octets.
  void send_but(std::size_t keep) {
    std::size_t count = held_.size() + (read - from_) - keep;
    const std::size_t of_held = std::min(count, held_.size());
    put(held_.substr(0, of_held));
    held_.remove_prefix(of_held);
    count -= of_held;
    put(input_.substr(from_, count));
    from_ += count;
  }

  // Forgets the first `count` octets.
  void drop(std::size_t count) {
    const std::size_t of_held = std::min(count, held_.size());
    held_.remove_prefix(of_held);
    from_ += count - of_held;
  }

  // Sends `span`, ahead of what is unsent.
  void put(std::string_view span) {
    if (span.empty()) return;
    size_ += span.size();
    send_(sink_, span);
  }

 private:
  std::string_view held_;  // static storage
  std::string_view input_;
  std::size_t from_ = 0;
  Send send_;
  void* sink_;
  std::uint64_t& size_;
};

void ContentScanner::discard() {
  if (mode_ == BareNewline::reject) mode_ = BareNewline::pass;
}

void ContentScanner::reset() {
  mode_ = usual_mode_;
  state_ = State::line;
  line_start_ = LineStart::message;
  size_ = 0;
}

// The octets that are held back: the longest end of what was read that could begin the end of data.
std::string_view ContentScanner::held() const {
  const bool with_crlf = line_start_ == LineStart::crlf;
  switch (state_) {
    case State::text:
    case State::over: return {};
    case State::cr: return "\r";
    case State::cr_cr: return "\r\r";
    case State::line: return with_crlf ? "\r\n" : "";
    case State::dot: return with_crlf ? "\r\n." : ".";
    case State::dot_cr: return with_crlf ? "\r\n.\r" : ".\r";
  }
  return {};
}

ContentScanner::Result ContentScanner::scan_to(std::string_view input, Send send, void* sink) {
  POSTERN_ASSERT(state_ != State::over, "content goes on after its end");
  Unsent unsent(held(), input, send, sink, size_);
  while (unsent.read < input.size()) {
    if (state_ == State::text) {
      unsent.read = skip_plain(input, unsent.read, mode_);
      if (unsent.read == input.size()) break;
    }
    switch (step(input[unsent.read], unsent)) {
      case Step::again: break;
      case Step::consumed: ++unsent.read; break;
      case Step::end:
        ++unsent.read;
        unsent.send_but(0);
        size_ -= terminator_size;
        state_ = State::over;
        return {Outcome::end, unsent.read};
      case Step::rejected:
        unsent.send_but(held().size());
        state_ = State::over;
        return {Outcome::rejected, unsent.read + 1};
    }
  }
  unsent.send_but(held().size());
  return {Outcome::more, input.size()};
}

// One octet. Whatever is held back and turns out to be ordinary needs no action: it is simply still unsent.
ContentScanner::Step ContentScanner::step(char octet, Unsent& unsent) {
  switch (state_) {
    case State::line:
      if (octet == '\n') return bare_lf(unsent);
      state_ = octet == '.' ? State::dot : State::text;
      return octet == '.' ? Step::consumed : Step::again;
    case State::text:
    case State::dot:
      if (octet == '\n') return bare_lf(unsent);
      if (octet != '\r') {
        state_ = State::text;
      } else {
        state_ = state_ == State::dot ? State::dot_cr : State::cr;
      }
      return Step::consumed;
    case State::cr:
      if (octet != '\n') return bare_cr(octet, unsent);
      state_ = State::line;
      line_start_ = LineStart::crlf;
      return Step::consumed;
    case State::cr_cr: return two_crs(octet, unsent);
    case State::dot_cr: return dot_cr(octet, unsent);
    case State::over: break;
  }
  POSTERN_ASSERT(false, "no octet is read after the end");
  return Step::rejected;
}

// LF after text, at a line's start, or after its dot.
ContentScanner::Step ContentScanner::bare_lf(Unsent& unsent) {
  switch (mode_) {
    case BareNewline::reject: return Step::rejected;
    case BareNewline::pass: state_ = State::text; return Step::consumed;
    case BareNewline::normalize: break;
  }
  unsent.send_but(0);
  if (state_ == State::dot) unsent.put(".");
  unsent.put(crlf);
  ++unsent.read;
  unsent.drop(1);
  state_ = State::line;
  line_start_ = LineStart::made;
  return Step::again;
}

// CR and then no LF.
ContentScanner::Step ContentScanner::bare_cr(char octet, Unsent& unsent) {
  switch (mode_) {
    case BareNewline::reject: return Step::rejected;
    case BareNewline::pass: state_ = octet == '\r' ? State::cr : State::text; return Step::consumed;
    case BareNewline::normalize: break;
  }
  if (octet == '\r') {
    state_ = State::cr_cr;
    return Step::consumed;
  }
  unsent.send_but(1);
  unsent.drop(1);
  unsent.put(crlf);
  state_ = State::line;
  line_start_ = LineStart::made;
  return Step::again;
}

// CR CR LF is one CRLF, of which CR LF may begin the end of data; else the first CR is a line end of its own.
ContentScanner::Step ContentScanner::two_crs(char octet, Unsent& unsent) {
  unsent.send_but(2);
  unsent.drop(1);
  state_ = State::cr;
  if (octet == '\n') return Step::again;
  unsent.put(crlf);
  return Step::again;
}

// A line of a lone dot and CR: LF makes it the end of data, unless the line began after a bare newline.
ContentScanner::Step ContentScanner::dot_cr(char octet, Unsent& unsent) {
  if (octet == '\n' && line_start_ != LineStart::made) return Step::end;
  if (mode_ == BareNewline::normalize) {
    unsent.send_but(1);
    unsent.put(".");
  }
  state_ = State::cr;
  return Step::again;
}

}  // namespace postern::smtp
