// Numbers and texts as the octets of a message between processes of ours, and back. Whoever reads one believes nothing
// that it does not show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::config {

class Packer {
 public:
  // The most significant octet first.
  template <class Number>
  void number(Number value) {
    for (std::size_t octet = sizeof value; octet-- > 0;) {
      octets_ += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * octet) & 0xffU);
    }
  }
  void flag(bool value) { number(static_cast<std::uint8_t>(value)); }
  // Of 65,535 octets at most: the writer knows its bounds.
  void text(std::string_view text) {
    number(static_cast<std::uint16_t>(text.size()));
    octets_ += text;
  }
  // At most as many texts.
  void list(const std::vector<std::string>& texts) {
    number(static_cast<std::uint16_t>(texts.size()));
    for (const std::string& each : texts) text(each);
  }
  std::string take() { return std::move(octets_); }
  std::size_t size() const { return octets_.size(); }

 private:
  std::string octets_;
};

// Reads what Packer writes. After something that is not there, or breaks a bound, all else is empty, and done() says
// so.
class Unpacker {
 public:
  explicit Unpacker(std::string_view octets) : rest_(octets) {}

  template <class Number>
  Number number() {
    std::uint64_t value = 0;
    for (const char octet : octets(sizeof(Number))) value = value << 8U | static_cast<unsigned char>(octet);
    return static_cast<Number>(value);
  }
  // One of the enumerators up to `last`, which are numbered from 0.
  template <class Enum>
  Enum choice(Enum last) {
    const auto value = number<std::uint8_t>();
    demand(value <= static_cast<std::uint8_t>(last));
    return ok_ ? static_cast<Enum>(value) : Enum{};
  }
  bool flag() {
    const auto value = number<std::uint8_t>();
    demand(value <= 1);
    return ok_ && value == 1;
  }
  std::string text(std::size_t longest) {
    const auto length = number<std::uint16_t>();
    demand(length <= longest);
    return std::string(ok_ ? octets(length) : std::string_view());
  }
  std::vector<std::string> list(std::size_t most, std::size_t longest) {
    const auto count = number<std::uint16_t>();
    demand(count <= most);
    std::vector<std::string> found;
    for (std::size_t i = 0; ok_ && i < count; ++i) found.push_back(text(longest));
    return found;
  }
  // The next ones as they are.
  std::string_view octets(std::size_t count) {
    demand(count <= rest_.size());
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  void demand(bool condition) { ok_ = ok_ && condition; }
  bool ok() const { return ok_; }
  // Everything was there, and nothing more.
  bool done() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace postern::config
