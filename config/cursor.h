// A place in the tree while it is being read: the node, the path to it, and where to report.
#pragma once

#include <cstddef>
#include <string>

#include "config/load.h"
#include "config/yaml.h"

namespace postern::config {

struct Cursor {
  const Node& node;
  std::string path;  // "inbound.mx.listen[1]"; empty at the root
  Loaded& loaded;

  void error(const std::string& message) const;  // prefixed with the path

  // Both note where the node stands in loaded.places.
  Cursor member(const Node& child) const;
  Cursor item(std::size_t index) const;

  // The path of a key below this one, whether it is in the file or not.
  std::string path_of(std::string_view key) const;

  // True when there are entries or items to read. Nothing at all counts as an empty mapping, so that all keys of a
  // section can be commented out, and so does an empty list; anything else of another kind is an error.
  bool is_mapping() const;
  bool is_sequence(const std::string& expected) const;  // "expected EXPECTED, not …"

  // The text of a scalar, or null and an error.
  const std::string* text(const std::string& expected) const;
  // The same, for numbers and booleans: quotes make it a text.
  const std::string* bare_text(const std::string& expected) const;

  void error_expected(const std::string& expected) const;  // "expected EXPECTED, not 'what is there'"
};

}  // namespace postern::config
