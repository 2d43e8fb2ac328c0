#include "config/cursor.h"

#include <algorithm>

#include "config/text.h"

namespace postern::config {
namespace {

// Longer than any sensible value: a cipher list may have some hundred characters.
constexpr std::size_t longest_scalar = 4096;

// A mapping's first child may stand lines below: its key says better where it is.
Place place_of(const Node& node) {
  const bool at_key = node.kind == Node::Kind::mapping || node.kind == Node::Kind::null;
  return at_key && node.key_place.line != 0 ? node.key_place : node.place;
}

// "127.0.0.1: 25" is a mapping, and was meant to be an address.
std::string value_meant_by(const Node& mapping) {
  if (mapping.children.size() != 1 || mapping.children[0].kind != Node::Kind::scalar) return {};
  const Node& entry = mapping.children[0];
  const bool is_address = entry.key.find_first_of(".:*") != std::string::npos &&
                          entry.scalar.find_first_not_of("0123456789") == std::string::npos;
  return is_address ? "; write " + quote(entry.key + ":" + entry.scalar) + " without a blank" : "";
}

}  // namespace

void Cursor::error(const std::string& message) const {
  loaded.add_error(path, path.empty() ? message : path + ": " + message);
}

Cursor Cursor::member(const Node& child) const {
  Cursor below{child, path_of(child.key), loaded};
  loaded.places.emplace(below.path, place_of(child));
  return below;
}

Cursor Cursor::item(std::size_t index) const {
  Cursor below{node.children[index], path + "[" + std::to_string(index) + "]", loaded};
  loaded.places.emplace(below.path, place_of(below.node));
  return below;
}

std::string Cursor::path_of(std::string_view key) const {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

bool Cursor::is_mapping() const {
  if (node.kind == Node::Kind::mapping) return true;
  if (!node.is_nothing()) error_expected("a mapping (KEY: VALUE)");
  return false;
}

bool Cursor::is_sequence(const std::string& expected) const {
  if (node.kind == Node::Kind::sequence) return true;
  error_expected(expected);
  return false;
}

const std::string* Cursor::text(const std::string& expected) const {
  if (node.kind != Node::Kind::scalar) {
    error_expected(expected);
  } else if (std::ranges::any_of(node.scalar, is_control)) {
    error("line breaks and other control characters are not allowed in a value");
  } else if (node.scalar.size() > longest_scalar) {
    error("a value may have at most " + std::to_string(longest_scalar) + " characters");
  } else {
    return &node.scalar;
  }
  return nullptr;
}

const std::string* Cursor::bare_text(const std::string& expected) const {
  const std::string* value = text(expected);
  if (value == nullptr || !node.quoted) return value;
  error("expected " + expected + ", not a text: write " + quote(*value) + " without its quotes");
  return nullptr;
}

void Cursor::error_expected(const std::string& expected) const {
  const std::string prefix = "expected " + expected + ", not ";
  switch (node.kind) {
    case Node::Kind::null: return error("has no value: give " + expected + ", or remove the line");
    case Node::Kind::scalar: return error(prefix + quote(node.scalar));
    case Node::Kind::sequence: return error(prefix + "a list");
    case Node::Kind::mapping: return error(prefix + "a mapping" + value_meant_by(node));
    case Node::Kind::invalid: loaded.wrong.insert(path); return;  // said already
  }
}

}  // namespace postern::config
