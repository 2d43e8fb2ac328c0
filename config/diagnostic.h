// What is wrong with a configuration file, and where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

// A place in the configuration file; line and column count from 1, 0 means unknown.
struct Place {
  std::size_t line = 0;
  std::size_t column = 0;
  auto operator<=>(const Place&) const = default;
};

struct Diagnostic {
  enum class Severity : std::uint8_t { error, warning };
  Severity severity = Severity::error;
  std::string file;
  Place place;
  std::string message;
};
// "FILE:LINE:COLUMN: error: message" (the place is left out where it is unknown).
std::string to_string(const Diagnostic& diagnostic);

// A mistake found before anybody knows which option it concerns: in the YAML itself or in a ${NAME}.
struct Mistake {
  Place place;
  std::string message;
};
using Mistakes = std::vector<Mistake>;

// What an operator wrote, in quotes, fit for a terminal: controls and what cannot be seen are escaped, cut after some
// 60 characters.
std::string quote(std::string_view text);

}  // namespace postern::config
