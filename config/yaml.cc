#include "config/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <map>
#include <utility>

#include "config/assert.h"
#include "config/text.h"
#include "config/text_encoding.h"
#include "config/yaml_advice.h"

namespace postern::config {
namespace {

Place place_of(const yaml_mark_t& mark) {
  return {mark.line + 1, mark.column + 1};
}

// libyaml's reader knows only the octet at which it stumbled.
Place place_at(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  const std::size_t last_newline = before.rfind('\n');
  return {line, last_newline == std::string_view::npos ? before.size() + 1 : before.size() - last_newline};
}

bool is_null(std::string_view plain) {
  return plain.empty() || plain == "~" || plain == "null" || plain == "Null" || plain == "NULL";
}

class YamlReader {
 public:
  YamlReader(std::string text, Mistakes& mistakes) : text_(std::move(text)), mistakes_(mistakes) {
    POSTERN_ASSERT(yaml_parser_initialize(&parser_) == 1, "out of memory for the YAML parser");
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text_.data()), text_.size());
  }
  ~YamlReader() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  YamlReader(const YamlReader&) = delete;
  YamlReader& operator=(const YamlReader&) = delete;

  std::optional<Node> read() {
    Node root;
    root.place = {1, 1};
    if (!next() || !next()) return std::nullopt;  // the start of the stream, then of the document
    if (event_.type == YAML_STREAM_END_EVENT) return root;
    if (!next() || !read_node(root, 1) || !next() || !next()) return std::nullopt;  // … its end, then the stream's
    if (event_.type != YAML_STREAM_END_EVENT) {
      report(place(), "a second document begins here: a configuration file holds only one");
    }
    return root;
  }

 private:
  Place place() const { return place_of(event_.start_mark); }
  void report(Place place, std::string message) { mistakes_.push_back({place, std::move(message)}); }
  bool give_up(Place place, std::string message) {
    report(place, std::move(message));
    return false;
  }

  // False when the text is no YAML, which has then been reported.
  bool next() {
    yaml_event_delete(&event_);
    event_ = {};
    return yaml_parser_parse(&parser_, &event_) == 1 || syntax_error();
  }

  bool syntax_error() {
    const std::string problem = parser_.problem != nullptr ? parser_.problem : "out of memory";
    if (parser_.error == YAML_READER_ERROR) return encoding_error(problem);
    const Place place = place_of(parser_.problem_mark);
    const bool inside = parser_.context != nullptr;
    std::string message = "not YAML: " + problem;
    if (inside) message += ", " + std::string(parser_.context);
    return give_up(place,
                   message + yaml_advice(text_, place, problem, inside ? place_of(parser_.context_mark) : Place{}));
  }

  bool encoding_error(const std::string& problem) {
    const std::size_t offset = parser_.problem_offset;
    const bool is_control = offset < text_.size() && static_cast<unsigned char>(text_[offset]) < 0x80 &&
                            problem.find("control") != std::string::npos;
    const std::string advice = is_control ? octet_at(offset) : "; save the file in UTF-8";
    return give_up(place_at(text_, offset), "not YAML in UTF-8: " + problem + advice);
  }

  std::string octet_at(std::size_t offset) const {
    std::string text = ", such as octet 0x";
    append_hex(text, static_cast<unsigned char>(text_[offset]), 2);
    return text;
  }

  // Reads the node that the current event begins; afterwards its last event is the current one.
  bool read_node(Node& node, std::size_t depth) {
    node.place = place();
    if (depth > yaml_depth_limit) return give_up(node.place, "nested too deeply");
    if (++node_count_ > yaml_node_limit) return give_up(node.place, "more than 100000 values in one file");
    switch (event_.type) {
      case YAML_SCALAR_EVENT: read_scalar(node); return true;
      case YAML_ALIAS_EVENT: refuse_alias(node); return true;
      case YAML_SEQUENCE_START_EVENT:
        refuse_decoration(event_.data.sequence_start.anchor, event_.data.sequence_start.tag);
        return read_sequence(node, depth);
      case YAML_MAPPING_START_EVENT:
        refuse_decoration(event_.data.mapping_start.anchor, event_.data.mapping_start.tag);
        return read_mapping(node, depth);
      default: return give_up(node.place, "not YAML: a value was expected");
    }
  }

  void read_scalar(Node& node) {
    const auto& scalar = event_.data.scalar;
    refuse_decoration(scalar.anchor, scalar.tag);
    node.scalar.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
    node.quoted = scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node.kind = !node.quoted && is_null(node.scalar) ? Node::Kind::null : Node::Kind::scalar;
  }

  void refuse_alias(Node& node) {
    node.kind = Node::Kind::invalid;
    report(node.place, "aliases (*name) are not supported: write the value out, or in quotes where it begins with *");
  }

  void refuse_decoration(const yaml_char_t* anchor, const yaml_char_t* tag) {
    if (anchor != nullptr) report(place(), "anchors (&name) are not supported: write the value out where it is needed");
    if (tag != nullptr) {
      report(place(), "tags (!name) are not supported: remove it, or put a value in quotes that begins with !");
    }
  }

  bool read_sequence(Node& node, std::size_t depth) {
    node.kind = Node::Kind::sequence;
    while (next()) {
      if (event_.type == YAML_SEQUENCE_END_EVENT) return true;
      if (!read_node(node.children.emplace_back(), depth + 1)) return false;
    }
    return false;
  }

  bool read_mapping(Node& node, std::size_t depth) {
    node.kind = Node::Kind::mapping;
    std::map<std::string, Place> seen;
    while (next()) {
      if (event_.type == YAML_MAPPING_END_EVENT) return true;
      Node key;
      if (!read_node(key, depth + 1)) return false;
      if (key.kind == Node::Kind::sequence || key.kind == Node::Kind::mapping) {
        return give_up(key.place, "a list or mapping cannot be a key" + yaml_advice(text_, key.place, {}, {}));
      }
      Node value;
      if (!next() || !read_node(value, depth + 1)) return false;
      if (!accept_key(key, seen)) continue;
      value.key = std::move(key.scalar);
      value.key_place = key.place;
      node.children.push_back(std::move(value));
    }
    return false;
  }

  bool accept_key(const Node& key, std::map<std::string, Place>& seen) {
    if (key.kind == Node::Kind::invalid) return false;
    if (key.scalar == "<<" && !key.quoted) {
      return give_up(key.place, "merge keys (<<) are not supported: write the keys out");
    }
    const auto [first, is_new] = seen.emplace(key.scalar, key.place);
    if (is_new) return true;
    return give_up(key.place, "the key " + quote(key.scalar) + " is given twice: the first is on line " +
                                  std::to_string(first->second.line) + ", remove one of them");
  }

  const std::string text_;
  Mistakes& mistakes_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
  std::size_t node_count_ = 0;
};

}  // namespace

std::optional<Node> parse_yaml(std::string_view text, Mistakes& mistakes) {
  if (text.size() > yaml_size_limit) {
    mistakes.push_back({{}, "the file is larger than 1 MiB"});
    return std::nullopt;
  }
  if (const std::string_view encoding = wide_encoding(text); !encoding.empty()) {
    mistakes.push_back({{1, 1}, "the file is in " + std::string(encoding) + ": save it in UTF-8"});
    return std::nullopt;
  }
  return YamlReader(without_marks(text), mistakes).read();
}

}  // namespace postern::config
