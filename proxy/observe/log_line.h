// How a log line looks: `message key=value key="quoted value"`, or the members of a JSON object. Pure.
// Whatever a value holds, a line stays one line, valid UTF-8, and reads from left to right: controls (C1 too), line and
// paragraph separators and bidirectional controls are escaped.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postern::log {

// A name (a constant of ours, [a-z_]+) and a value, which is only borrowed: it must outlive the call that logs it.
struct Field {
  std::string_view name;
  std::variant<bool, std::int64_t, std::uint64_t, double, std::string_view, std::span<const std::string>> value;

  Field(std::string_view n, bool v) : name(n), value(v) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  // Several texts: a JSON array; in a text line one value, in which "; " parts them.
  Field(std::string_view n, const std::vector<std::string>& v) : name(n), value(std::span<const std::string>(v)) {}
  Field(std::string_view n, std::signed_integral auto v) : name(n), value(static_cast<std::int64_t>(v)) {}
  Field(std::string_view n, std::unsigned_integral auto v) : name(n), value(static_cast<std::uint64_t>(v)) {}
};

// `message key=value …`. A text value stands in quotes where it would not read as one word without.
void append_text(std::string& out, std::string_view message, std::span<const Field> fields);

// `"message":"…","key":value,…`, without the braces. Octets that are not UTF-8 appear as \xNN (a backslash, escaped,
// and xNN).
void append_json(std::string& out, std::string_view message, std::span<const Field> fields);

}  // namespace postern::log
