// What the targets share: the fuzzer's octets taken apart, and cut into pieces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/assert.h"

namespace postern::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  // The next octet, or 0.
  std::uint8_t octet() {
    if (rest_.empty()) return 0;
    const char first = rest_.front();
    rest_.remove_prefix(1);
    return static_cast<std::uint8_t>(first);
  }
  // Up to 63 octets as they are.
  std::string text() {
    const std::size_t wanted = octet() % 64;
    const std::string_view value = rest_.substr(0, wanted);
    rest_.remove_prefix(value.size());
    return std::string(value);
  }
  // One of the lines that a byte-wise mutation finds slowly.
  template <std::size_t N>
  std::string word(const std::string_view (&words)[N]) {
    return std::string(words[octet() % N]);
  }
  // All that is left.
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// Calls take(piece) for one piece of `bytes` after the other while it returns true. `seed` decides the cuts; 0 cuts
// after every octet.
template <class Take>
void in_pieces(std::string_view bytes, std::uint8_t seed, Take take) {
  std::uint32_t state = seed;
  while (!bytes.empty()) {
    state = state * 1664525U + 1013904223U;
    const std::size_t wanted = seed == 0 ? 1 : state >> 16 & (seed % 2 == 0 ? 7 : 127);
    const std::string_view piece = bytes.substr(0, std::min(wanted, bytes.size()));  // empty ones too
    bytes.remove_prefix(piece.size());
    if (!take(piece)) return;
  }
}

inline bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// What a client was told ends with the last line of a reply.
inline bool ends_whole(std::string_view told) {
  if (told.empty()) return true;
  if (!told.ends_with("\r\n")) return false;
  const auto before = told.substr(0, told.size() - 2).rfind('\n');
  const std::string_view line = told.substr(before == std::string_view::npos ? 0 : before + 1);
  return line.size() > 3 && line[3] != '-';
}

}  // namespace postern::fuzz
