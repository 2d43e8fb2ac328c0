// Writes JSON (RFC 8259) into a string, commas and escapes included. Bytes that are not UTF-8 become U+FFFD.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::wire {

class JsonWriter {
 public:
  // In an object every value has a key, in an array and at the top none has.
  void begin_object(std::string_view key = {}) { open(key, '{'); }
  void end_object() { close('}'); }
  void begin_array(std::string_view key = {}) { open(key, '['); }
  void end_array() { close(']'); }
  void value(std::string_view key, std::string_view text);
  void value(std::string_view key, std::uint64_t number);
  void flag(std::string_view key, bool value);
  void values(std::string_view key, const std::vector<std::string>& texts);

  std::string take() { return std::move(text_); }

 private:
  void open(std::string_view key, char bracket);
  void close(char bracket);
  void begin_value(std::string_view key);
  void quote(std::string_view text);

  std::string text_;
  bool first_ = true;  // nothing stands yet in the object or array we are in
};

}  // namespace postern::wire
