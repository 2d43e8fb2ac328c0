#include "proxy/smtp/lines.h"

#include "proxy/smtp/octets.h"

namespace postern::smtp {

namespace {

Line describe(std::string_view raw) {
  Line line;
  line.raw = raw;
  line.text = raw.substr(0, raw.size() - 1);
  line.bare_lf = !line.text.ends_with('\r');
  if (!line.bare_lf) line.text.remove_suffix(1);
  line.bare_cr = line.text.find('\r') != std::string_view::npos;
  line.nul = line.text.find('\0') != std::string_view::npos;
  return line;
}

Line too_long_line() {
  Line line;
  line.too_long = true;
  return line;
}

}  // namespace

std::optional<Line> LineReader::next(std::string_view& input, std::size_t limit) {
  if (taken_) forget_pending();
  const std::size_t lf = input.find('\n');
  if (lf == std::string_view::npos) {
    keep(input, limit);
    return std::nullopt;
  }
  const std::string_view end = input.substr(0, lf + 1);
  input.remove_prefix(end.size());
  if (skipping_ || !pending_.empty()) return assembled(end, limit);
  if (end.size() > limit) return too_long_line();
  Line line = describe(end);
  line.in_input = true;
  return line;
}

void LineReader::reset() {
  forget_pending();
  skipping_ = false;
}

// The line that ends with `end` and began in an earlier input.
std::optional<Line> LineReader::assembled(std::string_view end, std::size_t limit) {
  if (skipping_ || pending_.size() + end.size() > limit) {
    reset();
    return too_long_line();
  }
  pending_.append(end);
  taken_ = true;
  return describe(pending_);
}

// Takes all of `input`, which holds no LF. The LF to come counts too, so `limit` octets are already too many.
void LineReader::keep(std::string_view& input, std::size_t limit) {
  if (!skipping_ && !input.empty()) {
    if (pending_.size() + input.size() >= limit) {
      forget_pending();
      skipping_ = true;
    } else {
      pending_.append(input);
    }
  }
  input.remove_prefix(input.size());
}

void LineReader::forget_pending() {
  std::string().swap(pending_);
  taken_ = false;
}

void forgive_end(Line& line) {
  if (!line.text.ends_with('\r')) return;
  while (line.text.ends_with('\r')) line.text.remove_suffix(1);
  line.bare_lf = true;
  line.bare_cr = line.text.find('\r') != std::string_view::npos;
}

bool is_no_command(std::string_view line) {
  constexpr char tls_handshake = 0x16;  // the record that a ClientHello comes in
  return !line.empty() && (line.front() == '\0' || line.front() == tls_handshake || is_8bit(line.front()));
}

}  // namespace postern::smtp
