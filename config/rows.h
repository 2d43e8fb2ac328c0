// The pieces that schema.cc builds its tables from: a row for each option, and rows that hold further rows.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/kinds.h"
#include "config/schema.h"

namespace postern::config {

// One key of a section that is read into a T.
template <class T>
struct Row {
  std::string_view key;
  std::string help;
  std::function<void(const Cursor&, T&)> read;
  // Appends this option, and those below it, with their values in the object.
  std::function<void(const T&, const Option& itself, std::vector<Option>& out)> list;
  Reload reload = Reload::new_sessions;
  std::string expected;  // empty: a section
  std::string_view example_text;
  bool is_required = false;

  // What the reference shows, commented out, where there is no default.
  Row example(std::string_view shown) && {
    example_text = shown;
    return std::move(*this);
  }
  Row required() && {
    is_required = true;
    return std::move(*this);
  }
  // A section that means nothing in some objects: the reference then shows it commented out.
  Row absent_if(std::function<bool(const T&)> is_absent) && {
    list = [is_absent = std::move(is_absent), inner = std::move(list)](const T& object, Option option,
                                                                       std::vector<Option>& out) {
      option.absent = option.absent || is_absent(object);
      inner(object, option, out);
    };
    return std::move(*this);
  }
};
template <class T>
using Rows = std::vector<Row<T>>;

// A row's name is known to be one word: what it needs is checked here once for all.
bool is_entry_name(const Cursor& cursor, std::string_view name);

// Reads a mapping by its rows: each key is known, each required one is there.
template <class T>
void read_section(const Cursor& section, const Rows<T>& rows, T& out) {
  if (!section.is_mapping() && !section.node.is_nothing()) return;
  std::vector<std::string_view> known;
  for (const Row<T>& row : rows) {
    known.push_back(row.key);
    const auto child = std::ranges::find(section.node.children, row.key, &Node::key);
    if (child != section.node.children.end()) {
      row.read(section.member(*child), out);
    } else if (row.is_required) {
      section.error('\'' + std::string(row.key) + "' is missing: " + std::string(row.help));
    }
  }
  report_unknown_keys(section, known);
}

template <class T>
void list_section(const T& object, const Rows<T>& rows, const Option& parent, std::vector<Option>& out) {
  for (const Row<T>& row : rows) {
    Option option;
    option.path = parent.path.empty() ? std::string(row.key) : parent.path + "." + std::string(row.key);
    option.key = row.key;
    option.depth = parent.depth + 1;
    option.help = row.help;
    option.reload = row.reload;
    option.expected = row.expected;
    option.example = row.example_text;
    option.absent = parent.absent;
    row.list(object, option, out);
  }
}

// An option that is not one member: the kind reads and prints the whole object.
template <class T>
Row<T> row(std::string_view key, const Kind<T>& kind, Reload reload, std::string_view help) {
  Row<T> result{.key = key,
                .help = std::string(help),
                .read = kind.read,
                .list = {},
                .reload = reload,
                .expected = kind.expected,
                .example_text = {}};
  result.list = [print = kind.print](const T& object, Option option, std::vector<Option>& out) {
    option.value = print(object);
    out.push_back(std::move(option));
  };
  return result;
}

// What a path's option lists: the file, too.
template <class T>
auto file_list(std::string T::*member, const Kind<std::string>& kind) {
  return [member, print = kind.print, use = kind.use](const T& object, Option option, std::vector<Option>& out) {
    option.value = print(object.*member);
    option.use = use;
    option.file = object.*member;
    out.push_back(std::move(option));
  };
}

// An option with a value of its own.
template <class T, class V>
Row<T> row(std::string_view key, V T::*member, const Kind<V>& kind, Reload reload, std::string_view help) {
  const auto read = [member, kind](const Cursor& cursor, T& out) { kind.read(cursor, out.*member); };
  const auto print = [member, kind](const T& object) { return kind.print(object.*member); };
  Row<T> result = row(key, Kind<T>{kind.expected, read, print}, reload, help);
  if constexpr (std::is_same_v<V, std::string>) {
    if (kind.use != FileUse::none) result.list = file_list(member, kind);
  }
  return result;
}

// Something with options below it.
template <class T>
Row<T> section_row(std::string_view key, std::string_view help) {
  return {.key = key, .help = std::string(help), .read = {}, .list = {}, .expected = {}, .example_text = {}};
}

// A mapping with rows of its own.
template <class T, class V>
Row<T> section(std::string_view key, V T::*member, const Rows<V>& rows, std::string_view help) {
  Row<T> result = section_row<T>(key, help);
  result.read = [member, rows](const Cursor& cursor, T& out) { read_section(cursor, rows, out.*member); };
  result.list = [member, rows](const T& object, const Option& option, std::vector<Option>& out) {
    out.push_back(option);
    list_section(object.*member, rows, option, out);
  };
  return result;
}

// The same, where it matters whether it is there at all.
template <class T, class V>
Row<T> section(std::string_view key, std::optional<V> T::*member, const Rows<V>& rows, std::string_view help) {
  Row<T> result = section_row<T>(key, help);
  result.read = [member, rows](const Cursor& cursor, T& out) {
    // With all its keys commented out it is not there.
    if (cursor.is_mapping()) read_section(cursor, rows, (out.*member).emplace());
  };
  result.list = [member, rows](const T& object, Option option, std::vector<Option>& out) {
    option.absent = option.absent || !(object.*member).has_value();
    out.push_back(option);
    list_section((object.*member).value_or(V{}), rows, option, out);
  };
  return result;
}

// The rows of a member that has no key of its own: its options stand beside those of T. What they are about goes before
// their help.
template <class T, class V>
void append_flat(Rows<T>& rows, V T::*member, const Rows<V>& inner, const std::string& about = "") {
  for (const Row<V>& row_of_member : inner) {
    Row<T> flat{.key = row_of_member.key,
                .help = about + row_of_member.help,
                .read = {},
                .list = {},
                .reload = row_of_member.reload,
                .expected = row_of_member.expected,
                .example_text = row_of_member.example_text,
                .is_required = row_of_member.is_required};
    flat.read = [member, row_of_member](const Cursor& cursor, T& out) { row_of_member.read(cursor, out.*member); };
    flat.list = [member, row_of_member](const T& object, const Option& option, std::vector<Option>& out) {
      row_of_member.list(object.*member, option, out);
    };
    rows.push_back(std::move(flat));
  }
}

// A list of mappings, each read by the same rows. It may be empty.
template <class V>
void read_items(const Cursor& list, const Rows<V>& rows, const std::string& expected, std::vector<V>& out) {
  if (!list.node.is_nothing() && !list.is_sequence(expected)) return;
  for (std::size_t i = 0; i < list.node.children.size(); ++i) read_section(list.item(i), rows, out.emplace_back());
}

template <class V>
void list_items(const std::vector<V>& items, const Rows<V>& rows, const Option& parent, std::vector<Option>& out) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    Option item = parent;
    item.path += '[' + std::to_string(i) + "]";
    const std::size_t first = out.size();
    list_section(items[i], rows, item, out);
    if (first < out.size()) out[first].begins_item = true;
  }
}

// A list of mappings.
template <class T, class V>
Row<T> items(std::string_view key, std::vector<V> T::*member, const Rows<V>& rows, const std::string& expected,
             std::string_view help) {
  Row<T> result = section_row<T>(key, help);
  result.read = [member, rows, expected](const Cursor& cursor, T& out) {
    read_items(cursor, rows, expected, out.*member);
  };
  result.list = [member, rows](const T& object, const Option& option, std::vector<Option>& out) {
    out.push_back(option);
    list_items(object.*member, rows, option, out);
  };
  return result;
}

// A section whose keys are names: they appear in paths, logs and metrics.
template <class Read>
void read_named(const Cursor& named, Read read) {
  if (!named.is_mapping()) return;
  for (const Node& child : named.node.children) {
    const Cursor entry = named.member(child);
    if (is_entry_name(entry, child.key)) read(entry, child.key);
  }
}

// The option that stands for one named entry ("inbound.mx") in the list.
Option named_option(const Option& parent, const std::string& name);

}  // namespace postern::config
