// Writes JSON (RFC 8259) into a string, commas and escapes included. Controls, and what would turn a line around or
// break it, are escaped: whatever a text holds, the line that it goes into stays one.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace postern::wire {

// As JSON has numbers: "null" for what is none.
template <class Number>
void append_number(std::string& text, Number number) {
  std::array<char, 32> digits{};
  if (std::isfinite(static_cast<double>(number))) {
    text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
  } else {
    text += "null";
  }
}

class JsonWriter {
 public:
  // What octets become that are not UTF-8.
  enum class NotUtf8 : std::uint8_t {
    replaced,  // U+FFFD
    shown,     // \xNN: a backslash (escaped), an x, and two digits
  };

  JsonWriter() = default;
  // Goes on behind `before`.
  explicit JsonWriter(std::string before, NotUtf8 not_utf8) : text_(std::move(before)), not_utf8_(not_utf8) {}

  // In an object every value has a key, in an array none has. At the top there is one value without a key, or the
  // members of an object whose braces somebody else writes.
  void begin_object(std::string_view key = {}) { open(key, '{'); }
  void end_object() { close('}'); }
  void begin_array(std::string_view key = {}) { open(key, '['); }
  void end_array() { close(']'); }
  void value(std::string_view key, std::string_view text);
  void value(std::string_view key, std::uint64_t number);
  void value(std::string_view key, std::int64_t number);
  // null where it is no number.
  void value(std::string_view key, double number);
  void flag(std::string_view key, bool value);
  void values(std::string_view key, std::span<const std::string> texts);

  std::string take() { return std::move(text_); }

 private:
  void open(std::string_view key, char bracket);
  void close(char bracket);
  void begin_value(std::string_view key);
  void quote(std::string_view text);
  void append_octet(char octet);

  std::string text_;
  NotUtf8 not_utf8_ = NotUtf8::replaced;
  bool first_ = true;  // nothing stands yet in the object or array we are in
};

}  // namespace postern::wire
