#include "proxy/keeper/reload.h"

#include <utility>
#include <vector>

#include "config/schema.h"
#include "proxy/observe/log.h"
#include "proxy/runtime/needs.h"

namespace postern::keeper {

namespace {

std::string list_of(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// What was given up at the start cannot be had again. Empty: nothing more is wanted.
std::string more_rights(const config::Settings& before, const config::Settings& after) {
  const runtime::Needs had = runtime::needs(before);
  const runtime::Needs wanted = runtime::needs(after);
  const bool network = wanted.foreign_addresses || wanted.socket_marks;
  if (network && !had.foreign_addresses && !had.socket_marks) return "addresses that are not ours, or socket_mark";
  return wanted.programs && !had.programs ? "backend.exec" : "";
}

std::optional<Reload> refuse(const std::string& why) {
  log::error("the configuration is not taken over; what was there goes on", {{"reason", why}});
  return std::nullopt;
}

}  // namespace

std::optional<Reload> reload(const std::string& file, const Prepared& present, const Listening& listening) {
  const config::Settings& before = present.runtime->settings;
  config::Loaded loaded = config::load_file(file, config::process_environment());
  std::string changed;
  if (loaded.ok()) {
    const auto fixed = config::changes_that_need_restart(before, loaded.settings);
    if (!fixed.empty()) return refuse(list_of(fixed) + ": to change that needs a restart");
    const std::string rights = more_rights(before, loaded.settings);
    if (!rights.empty()) return refuse(rights + ": the right to that was given up at the start, so it needs a restart");
    changed = list_of(config::changed_options(before, loaded.settings));
  }
  auto next = keeper::prepare(std::move(loaded), present.runtime.get());
  if (!next) return refuse("it has mistakes");
  auto change = listening.plan(next->runtime->settings);
  if (!change) return refuse(change.error().message);
  return Reload{std::move(*next), std::move(*change), std::move(changed)};
}

}  // namespace postern::keeper
