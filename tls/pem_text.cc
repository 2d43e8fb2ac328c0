#include "tls/pem_text.h"

#include <algorithm>
#include <array>
#include <optional>

#include "config/text.h"

namespace postern::tls {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::string_view dashes = "-----";
constexpr std::string_view begin_mark = "-----BEGIN ";
constexpr std::string_view end_mark = "-----END ";

bool is_line_end(char c) {
  return c == '\n' || c == '\r';
}

// Without blanks and byte order marks on either side.
std::string_view trim(std::string_view text) {
  for (;;) {
    if (text.starts_with(byte_order_mark)) {
      text.remove_prefix(byte_order_mark.size());
    } else if (text.ends_with(byte_order_mark)) {
      text.remove_suffix(byte_order_mark.size());
    } else if (!text.empty() && (config::is_blank(text.front()) || is_line_end(text.front()))) {
      text.remove_prefix(1);
    } else if (!text.empty() && (config::is_blank(text.back()) || is_line_end(text.back()))) {
      text.remove_suffix(1);
    } else {
      return text;
    }
  }
}

// Takes the first line off, without its end: LF, CR LF or CR.
std::string_view next_line(std::string_view& text) {
  const std::size_t size = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, size);
  text.remove_prefix(size);
  if (text.starts_with("\r\n")) {
    text.remove_prefix(2);
  } else if (!text.empty()) {
    text.remove_prefix(1);
  }
  return line;
}

bool is_base64(char c) {
  return config::is_alphanumeric(c) || c == '+' || c == '/' || c == '=';
}

// A dash of any kind, some of which text processors like better: U+2010 to U+2015, U+2212.
bool has_dash(std::string_view text) {
  if (text.find('-') != std::string_view::npos || text.find("\xe2\x88\x92") != std::string_view::npos) return true;
  for (std::size_t at = text.find("\xe2\x80"); at != std::string_view::npos; at = text.find("\xe2\x80", at + 1)) {
    if (at + 2 < text.size() && text[at + 2] >= '\x90' && text[at + 2] <= '\x95') return true;
  }
  return false;
}

// "BEGIN" or "END" as a word, and after it the name of something that PEM holds; a dash somewhere on the line.
bool looks_like_mark(std::string_view line) {
  constexpr std::array<std::string_view, 6> kinds = {"CERTIFICATE", "KEY", "PKCS", "CMS", "CRL", "X509"};
  const std::string upper = config::upper_case(line);
  for (const std::string_view word : {"BEGIN", "END"}) {
    const std::size_t at = upper.find(word);
    const bool is_word = at != std::string::npos && (at == 0 || upper[at - 1] < 'A' || upper[at - 1] > 'Z');
    if (is_word && has_dash(upper) && std::any_of(kinds.begin(), kinds.end(), [&](std::string_view kind) {
          return upper.find(kind, at) != std::string::npos;
        })) {
      return true;
    }
  }
  return false;
}

// The first line of a certificate or key, as base64 has it.
bool looks_like_der(std::string_view line) {
  constexpr std::size_t usual_line = 60;
  return line.size() >= usual_line && line.starts_with("MI") && std::all_of(line.begin(), line.end(), is_base64);
}

struct Mark {
  bool is_begin = false;
  std::string_view label;
  std::size_t at = 0;     // of its first dash
  std::size_t after = 0;  // of what follows
  bool is_whole = false;  // it has its five dashes on both sides, and no more
};

std::optional<Mark> find_mark(std::string_view text, std::size_t from) {
  const std::size_t at = std::min(text.find(begin_mark, from), text.find(end_mark, from));
  if (at == std::string_view::npos) return std::nullopt;
  Mark mark;
  mark.at = at;
  mark.is_begin = text.substr(at).starts_with(begin_mark);
  const std::size_t label = at + (mark.is_begin ? begin_mark : end_mark).size();
  const std::size_t line_end = std::min(text.find_first_of("\r\n", label), text.size());
  const std::size_t close = text.find(dashes, label);
  if (close == std::string_view::npos || close > line_end) {
    mark.after = line_end;
    return mark;
  }
  mark.label = text.substr(label, close - label);
  mark.after = close + dashes.size();
  const std::string_view rest = text.substr(mark.after);
  const bool more_before = at > from && text[at - 1] == '-';
  const bool more_after = rest.starts_with('-') && !rest.starts_with(begin_mark) && !rest.starts_with(end_mark);
  mark.is_whole = !more_before && !more_after && mark.label == trim(mark.label) && !mark.label.empty();
  return mark;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  PemText scan();

 private:
  void take(const Mark& mark);
  void take_begin(const Mark& mark, bool hidden);
  void take_end(const Mark& mark, bool hidden);
  void look_between(std::string_view loose);
  void note(bool is_error, std::string message) { found_.notes.push_back({line_, is_error, std::move(message)}); }
  void go_to(std::size_t position);

  std::string_view text_;
  std::size_t position_ = 0;
  std::size_t line_ = 1;  // of position_
  std::optional<PemText::Block> open_;
  std::size_t body_ = 0;  // where the open block's begins
  bool hidden_ = false;   // inside of a block that is none
  PemText found_;
};

void Scanner::go_to(std::size_t position) {
  for (; position_ < position; ++position_) {
    const bool half = text_[position_] == '\r' && position_ + 1 < text_.size() && text_[position_ + 1] == '\n';
    line_ += is_line_end(text_[position_]) && !half ? 1 : 0;
  }
}

// Text between blocks is a comment, unless it is a block that somebody has spoilt.
void Scanner::look_between(std::string_view loose) {
  bool told = hidden_;
  while (!loose.empty()) {
    const std::size_t size = loose.size();
    const std::string_view line = trim(next_line(loose));
    if (looks_like_mark(line)) {
      note(has_dash(line.substr(0, 3)),
           "this looks like the mark of a block, but is none: it takes five dashes on each "
           "side, as in -----BEGIN CERTIFICATE-----");
    } else if (!told && looks_like_der(line)) {
      note(false, "this looks like the content of a block, but no BEGIN stands before it: it is passed over");
    }
    told = hidden_ || looks_like_der(line) || (told && !line.empty());
    go_to(position_ + size - loose.size());
  }
}

void Scanner::take_begin(const Mark& mark, bool hidden) {
  if (open_) {
    note(true,
         "the block that begins on line " + std::to_string(open_->line) + " has no END before another begins here");
  }
  open_.reset();
  if (hidden) {
    note(false, "text stands in front of this BEGIN " + std::string(mark.label) + ", so that its block is passed over");
    hidden_ = true;
    return;
  }
  hidden_ = false;
  open_ = {mark.label, {}, line_};
  body_ = mark.after;
}

void Scanner::take_end(const Mark& mark, bool hidden) {
  if (open_ && open_->label == mark.label) {
    open_->body = text_.substr(body_, mark.at - body_);
    found_.blocks.push_back(*open_);
  } else if (open_) {
    note(true, "this END " + std::string(mark.label) + " ends no block: one of " + std::string(open_->label) +
                   " begins on line " + std::to_string(open_->line));
  } else if (!hidden_) {
    note(!hidden, "this END " + std::string(mark.label) + " has no BEGIN before it");
  }
  open_.reset();
  hidden_ = false;
}

void Scanner::take(const Mark& mark) {
  const std::size_t before = position_;
  const bool joined_to_mark = before > 0 && trim(text_.substr(before, mark.at - before)).empty() &&
                              text_.substr(before, mark.at - before).find_first_of("\r\n") == std::string_view::npos;
  if (!open_) {
    // The line on which the mark stands is judged with the mark.
    const std::size_t line_end = text_.substr(before, mark.at - before).find_last_of("\r\n");
    look_between(text_.substr(before, line_end == std::string_view::npos ? 0 : line_end + 1));
  }
  go_to(mark.at);
  const std::size_t line_start = text_.substr(0, mark.at).find_last_of("\r\n") + 1;  // npos + 1: the text's own
  const std::string_view front =
      trim(text_.substr(std::max(before, line_start), mark.at - std::max(before, line_start)));
  const std::size_t line_end = std::min(text_.find_first_of("\r\n", mark.after), text_.size());
  const std::string_view behind = trim(text_.substr(mark.after, line_end - mark.after));
  const bool spoilt = !mark.is_whole;
  if (spoilt && (front.empty() || open_ || front.find_first_not_of('-') == std::string_view::npos)) {
    note(true,
         "this is no mark of a block: it takes a name, and five dashes on each side of it, as in -----BEGIN "
         "CERTIFICATE-----");
    open_.reset();
    hidden_ = true;  // told
  } else if (mark.is_begin) {
    if (joined_to_mark) {
      note(false,
           "this BEGIN " + std::string(mark.label) + " is joined to the END before it: put it on a line of its own");
    }
    take_begin(mark, !front.empty());
    if (open_ && !behind.empty()) {
      note(false, "content is joined to this BEGIN " + std::string(mark.label) + ": put it on a line of its own");
    }
  } else {
    if (open_ && !front.empty()) {
      note(false, "content is joined to this END " + std::string(mark.label) + ": put it on a line of its own");
    }
    take_end(mark, !front.empty());
  }
  go_to(mark.after);
}

PemText Scanner::scan() {
  while (const auto mark = find_mark(text_, position_)) take(*mark);
  if (open_) {
    line_ = open_->line;
    note(true, "the block of " + std::string(open_->label) + " that begins here has no END");
  } else {
    look_between(text_.substr(position_));
  }
  return std::move(found_);
}

}  // namespace

PemText scan_pem(std::string_view text) {
  return Scanner(text).scan();
}

std::string clean_body(std::string_view body) {
  std::string clean;
  clean.reserve(body.size() + 1);  // not moved about: it may be a key
  bool in_headers = false;         // RFC 1421's, of encrypted keys; an empty line ends them
  while (!body.empty()) {
    std::string_view line = trim(next_line(body));
    if (line.empty() && !in_headers) continue;
    in_headers = !line.empty() && (in_headers || line.find(':') != std::string_view::npos);
    for (std::size_t mark = line.find(byte_order_mark); mark != std::string_view::npos;
         mark = line.find(byte_order_mark)) {
      clean += line.substr(0, mark);
      line.remove_prefix(mark + byte_order_mark.size());
    }
    clean += line;
    clean += '\n';
  }
  return clean;
}

}  // namespace postern::tls
