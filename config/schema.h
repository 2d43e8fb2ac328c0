// The table of all options: one row each, with key, member, reader, bounds, reload rule and help text. Everything that
// knows about options reads it: loading, "did you mean", the reference file, and what a reload cannot change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/cursor.h"
#include "config/file_use.h"
#include "config/load.h"

namespace postern::config {

// When a changed value takes effect after a reload.
enum class Reload : std::uint8_t {
  at_once,
  new_sessions,  // running sessions keep what they started with
  restart,       // a reload cannot change it
};
std::string_view to_string(Reload value);

// Reads the tree into loaded.settings and reports all mistakes. Rules across options are check.h's.
void read_settings(const Node& root, Loaded& loaded);

// One row, with the value it has in some Settings.
struct Option {
  std::string path;  // "inbound.mx.timeouts.command"
  std::string key;
  std::size_t depth = 0;     // 1 at the top level
  bool begins_item = false;  // the first option of an item of a list
  bool absent = false;       // it, or the section it stands in, is not there: its value is only what it would be
  std::string value;         // as YAML; empty: nothing set
  std::string expected;      // "a duration from 1s to 10m"; empty: a section
  std::string example;       // where there is no default
  std::string help;
  Reload reload = Reload::new_sessions;
  FileUse use = FileUse::none;  // of a file whose path it is, which is then:
  std::string file;             // as it is, not as YAML; empty: none
  bool is_section() const { return expected.empty(); }
};
// Every option of these settings, in the order of the schema.
std::vector<Option> list_options(const Settings& settings);

// The paths of options that differ, in the order of the schema; of what comes or goes as a whole, a listener for one,
// its own alone.
std::vector<std::string> changed_options(const Settings& before, const Settings& after);

// The paths of options that differ and that only a restart can change.
std::vector<std::string> changes_that_need_restart(const Settings& before, const Settings& after);

// For the machinery in rows.h.
void report_unknown_keys(const Cursor& section, const std::vector<std::string_view>& known);

}  // namespace postern::config
