// YAML text to a tree that remembers where everything stands. Of YAML only what a configuration needs: mappings, lists
// and scalars. Anchors, aliases, merge keys, tags and further documents are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"

namespace postern::config {

struct Node {
  enum class Kind : std::uint8_t {
    null,      // nothing, "~" or "null"
    scalar,    // text; what it means is the reader's business
    sequence,  // children
    mapping,   // children, each with its key
    invalid,   // its mistake has been reported: nobody should complain about it again
  };
  Kind kind = Kind::null;
  bool quoted = false;  // a scalar in quotes, or a block of text: certainly no number and no boolean
  Place place;
  std::string scalar;
  std::string key;  // of an entry of a mapping
  Place key_place;
  std::vector<Node> children;

  // Nothing, [] or {}: who writes one for another means the same.
  bool is_nothing() const {
    return kind == Kind::null || ((kind == Kind::sequence || kind == Kind::mapping) && children.empty());
  }
};

constexpr std::size_t yaml_size_limit = std::size_t{1} << 20;
constexpr std::size_t yaml_depth_limit = 16;
constexpr std::size_t yaml_node_limit = 100'000;

// Nothing when the text cannot be read at all; a tree and mistakes when single entries are wrong (such as a key given
// twice, of which the first counts).
std::optional<Node> parse_yaml(std::string_view text, Mistakes& mistakes);

}  // namespace postern::config
