// What was refused to a client, and why, for its session's line: the last few. Nothing is kept before the first one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::session {

class RefusalNotes {
 public:
  // At most so many are kept, the same one after another counting as one, and of each at most so many octets.
  static constexpr std::size_t entry_limit = 8;
  static constexpr std::size_t text_limit = 240;

  // `what`: the verb, or empty; `label`: the refusal's, or empty; `reply` may end in CRLF; `reason`: more than that.
  void add(std::string_view what, std::string_view label, std::string_view reply, std::string_view reason);

  // "AUTH: 503 5.5.1 EHLO or HELO comes first [ehlo_first] (3 times)", the oldest first.
  std::vector<std::string> items() const;
  // Those that made room for others.
  std::uint64_t left_out() const { return left_out_; }

 private:
  struct Entry {
    std::string text;
    std::uint64_t times = 1;
  };
  std::vector<Entry> entries_;
  std::uint64_t left_out_ = 0;
};

}  // namespace postern::session
