// Reads a configuration file: YAML to a tree with positions, the tree to Settings by the schema's rows.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace postern::config {

// A place in the configuration file; line and column count from 1, 0 means unknown.
struct Place {
  std::size_t line = 0;
  std::size_t column = 0;
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

struct Loaded {
  std::string file;
  Settings settings;                    // meaningful only when ok()
  std::vector<Diagnostic> diagnostics;  // every mistake and warning found, in file order
  std::map<std::string, Place> places;  // "certificates.mx[0].key", "inbound.mx.listen[1]" -> where it stands

  bool ok() const;                                               // no error among the diagnostics
  Place place_of(const std::string& path) const;                 // {0,0} if it is not in the file
  void add_error(const std::string& path, std::string message);  // places it by path
  void add_warning(const std::string& path, std::string message);
};

// Looks up an environment variable; nullptr where it is not set. Tests pass their own.
using Environment = std::function<const char*(const std::string& name)>;

// `load_file` reads at most 1 MiB. Both parse, apply the schema and the rules across options (check.h).
Loaded load_file(const std::string& path, const Environment& environment);
Loaded load_text(std::string_view yaml, const std::string& file_name, const Environment& environment);

// The process's own environment.
Environment process_environment();

}  // namespace postern::config
