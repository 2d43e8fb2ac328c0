// What a thread of the gateway remembers of answers, so that the messages of a minute ask once. The resolver remembers
// for longer, and for all. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "proxy/resolver/messages.h"

namespace postern::resolver {

class AnswerCache {
 public:
  // Keeps it for its TTL, a minute at most; what failed or is bogus, has no TTL, or is large, not at all. `now` is loop
  // time in milliseconds.
  void put(How how, const dns::Question& question, const dns::Answer& answer, std::uint64_t now);
  // With the time that is left of its TTL.
  std::optional<dns::Answer> get(How how, const dns::Question& question, std::uint64_t now) const;
  std::size_t size() const { return entries_.size(); }

  static constexpr std::size_t most = 1'024;
  static constexpr std::size_t largest = 4'096;     // octets of an answer
  static constexpr std::uint64_t longest = 60'000;  // milliseconds

 private:
  struct Entry {
    dns::Answer answer;
    std::uint64_t since = 0;
    std::uint64_t until = 0;
  };
  std::map<std::pair<How, dns::Question>, Entry> entries_;
};

}  // namespace postern::resolver
