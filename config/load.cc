#include "config/load.h"

#include <algorithm>

#include "config/check.h"
#include "config/file.h"
#include "config/schema.h"
#include "config/yaml.h"

namespace postern::config {
namespace {

// The path one level up: "a.b[0]" -> "a.b" -> "a" -> "".
std::string parent_of(const std::string& path) {
  const std::size_t end = path.find_last_of(".[");
  return path.substr(0, end == std::string::npos ? 0 : end);
}

Place nearest_place(const Loaded& loaded, std::string path) {
  while (!path.empty() && loaded.place_of(path).line == 0) path = parent_of(path);
  return loaded.place_of(path);
}

void add(Loaded& loaded, Diagnostic::Severity severity, const std::string& path, std::string message) {
  loaded.diagnostics.push_back({severity, loaded.file, nearest_place(loaded, path), std::move(message)});
}

}  // namespace

bool Loaded::ok() const {
  return std::ranges::find(diagnostics, Diagnostic::Severity::error, &Diagnostic::severity) == diagnostics.end();
}

std::string Loaded::first_error() const {
  const auto found = std::ranges::find(diagnostics, Diagnostic::Severity::error, &Diagnostic::severity);
  return found == diagnostics.end() ? std::string() : to_string(*found);
}

Place Loaded::place_of(const std::string& path) const {
  const auto found = places.find(path);
  return found == places.end() ? Place{} : found->second;
}

void Loaded::add_error(const std::string& path, std::string message) {
  add(*this, Diagnostic::Severity::error, path, std::move(message));
  wrong.insert(path);
}

void Loaded::add_warning(const std::string& path, std::string message) {
  add(*this, Diagnostic::Severity::warning, path, std::move(message));
}

bool Loaded::is_wrong(const std::string& path) const {
  for (auto found = wrong.lower_bound(path); found != wrong.end() && found->starts_with(path); ++found) {
    if (found->size() == path.size() || (*found)[path.size()] == '.' || (*found)[path.size()] == '[') return true;
  }
  return false;
}

Loaded load_file(const std::string& path, const Environment& environment) {
  const auto text = read_given_file(path, yaml_size_limit);  // load_text refuses what is larger
  if (text) return load_text(*text, path, environment);
  Loaded loaded;
  loaded.file = path;
  loaded.add_error("", text.error().message);
  return loaded;
}

Loaded load_text(std::string_view yaml, const std::string& file_name, const Environment& environment) {
  Loaded loaded;
  loaded.file = file_name;
  loaded.text = yaml;
  Mistakes mistakes;
  std::optional<Node> root = parse_yaml(yaml, mistakes);
  if (root) {
    expand_values(*root, recording(environment, loaded.variables), mistakes);
    read_settings(*root, loaded);
    check(loaded);
  }
  for (Mistake& mistake : mistakes) {
    loaded.diagnostics.push_back({Diagnostic::Severity::error, file_name, mistake.place, std::move(mistake.message)});
  }
  std::ranges::stable_sort(loaded.diagnostics, {}, &Diagnostic::place);
  return loaded;
}

}  // namespace postern::config
