#include "proxy/keeper/reload.h"

#include <utility>

#include "config/schema.h"
#include "config/text.h"
#include "proxy/runtime/needs.h"

namespace postern::keeper {

namespace {

// What was given up at the start cannot be had again. Empty: nothing more is wanted.
std::string more_rights(const config::Settings& before, const config::Settings& after) {
  const runtime::Needs had = runtime::needs(before);
  const runtime::Needs wanted = runtime::needs(after);
  const bool network = wanted.foreign_addresses || wanted.socket_marks;
  if (network && !had.foreign_addresses && !had.socket_marks) return "addresses that are not ours, or socket_mark";
  return wanted.programs && !had.programs ? "backend.exec" : "";
}

// Empty: a reload can do that.
std::string why_restart(const config::Settings& before, const config::Settings& after) {
  const auto fixed = config::changes_that_need_restart(before, after);
  if (!fixed.empty()) return config::listed(fixed) + ": to change that needs a restart";
  const std::string rights = more_rights(before, after);
  if (!rights.empty()) return rights + ": the right to that was given up at the start, so it needs a restart";
  return {};
}

// Of the paths that both have.
std::string changed_files(const config::Files& before, const config::Files& after) {
  const auto differ = [](const Result<config::File>& one, const Result<config::File>& other) {
    return one && other && one->content != other->content;
  };
  std::vector<std::string> changed;
  for (const auto& [path, file] : after.by_path()) {
    if (differ(before.at(path), file)) changed.push_back(path);
  }
  if (differ(before.authorities().file, after.authorities().file)) changed.push_back(after.authorities().path);
  return config::listed(changed);
}

}  // namespace

Reading read_again(const std::string& file, const Prepared& present, const Listening& listening) {
  const config::Settings& before = present.runtime->settings;
  config::Loaded loaded = config::load_file(file, config::process_environment());
  if (loaded.ok()) {
    std::string why = why_restart(before, loaded.settings);
    if (!why.empty()) return {std::nullopt, std::move(why), std::move(loaded.diagnostics)};
  }
  Preparation made = keeper::prepare(std::move(loaded), present.runtime.get());
  if (!made.prepared) return {std::nullopt, "it has mistakes", std::move(made.diagnostics)};
  Prepared& next = *made.prepared;
  auto change = listening.plan(next.runtime->settings);
  if (!change) return {std::nullopt, change.error().message, std::move(made.diagnostics)};
  Reload reload{std::move(next), std::move(*change), {}, {}};
  reload.options = config::listed(config::changed_options(before, reload.next.runtime->settings));
  reload.files = changed_files(present.bundle.files, reload.next.bundle.files);
  return {std::move(reload), {}, std::move(made.diagnostics)};
}

}  // namespace postern::keeper
