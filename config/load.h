// Reads a configuration file: YAML to a tree with positions, the tree to Settings by the schema's rows.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"
#include "config/environment.h"
#include "config/settings.h"

namespace postern::config {

struct Loaded {
  std::string file;
  std::string text;                     // the file's, whole, but where it could not be read
  Variables variables;                  // of the environment: those that the text refers to
  Settings settings;                    // meaningful only when ok()
  std::vector<Diagnostic> diagnostics;  // every mistake and warning found, in file order
  std::map<std::string, Place> places;  // "certificates.mx[0].key", "inbound.mx.listen[1]" -> where it stands
  std::set<std::string> wrong;          // the paths that errors were reported for

  bool ok() const;                                               // no error among the diagnostics
  Place place_of(const std::string& path) const;                 // {0,0} if it is not in the file
  void add_error(const std::string& path, std::string message);  // placed by path, or by the nearest one above it
  void add_warning(const std::string& path, std::string message);
  // "postern.yaml:3:5: error: …": the first of its errors; empty: it is ok().
  std::string first_error() const;
  bool is_wrong(const std::string& path) const;  // an error was reported for it or for anything below it
};

// `load_file` reads at most 1 MiB. Both parse, apply the schema and the rules across options (check.h).
Loaded load_file(const std::string& path, const Environment& environment);
Loaded load_text(std::string_view yaml, const std::string& file_name, const Environment& environment);

}  // namespace postern::config
