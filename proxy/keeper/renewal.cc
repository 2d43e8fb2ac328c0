#include "proxy/keeper/renewal.h"

#include <algorithm>
#include <utility>

#include "config/load.h"
#include "proxy/keeper/bundle.h"
#include "proxy/observe/log.h"
#include "proxy/runtime/preflight.h"

namespace postern::keeper {

namespace {

config::Loaded load(const Bundle& bundle) {
  return config::load_text(bundle.text, bundle.name, config::environment_of(bundle.variables));
}

std::string list_of(const std::vector<config::NamedFile>& files) {
  std::string text;
  for (const auto& file : files) text += (text.empty() ? "" : ", ") + file.path;
  return text;
}

}  // namespace

Renewal::Renewal(net::Loop& loop, Means means, std::chrono::milliseconds look_every, std::chrono::milliseconds between)
    : loop_(loop),
      means_(std::move(means)),
      between_(between),
      watch_(
          loop, [this](FileWatch::Changes changes) { on_change(std::move(changes)); }, look_every),
      timer_(loop.raw(), [this] { attempt(); }) {}

void Renewal::begin() {
  pending_ = config::Files();
  unusable_.clear();
  serving_ = true;
  watch_.watch(load(means_.present.bundle), means_.present.bundle.files);
}

std::uint32_t Renewal::begin_reload() {
  reloading_ = true;
  timer_.stop();
  return ++latest_;
}

// What has changed meanwhile the new watch tells, as it compares with what this snapshot was made of.
void Renewal::end_reload(bool served) {
  reloading_ = false;
  if (served) {
    version_ = latest_;
    trouble_.clear();
    deaths_ = 0;
    begin();
  } else if (!pending_.empty()) {
    schedule();
  }
}

void Renewal::on_change(FileWatch::Changes changes) {
  for (const auto& lost : changes.lost) {
    log::warning("a file cannot be read again",
                 {{"file", lost.path}, {"use", config::to_string(lost.use)}, {"reason", lost.why.message}});
  }
  if (!changes.live.empty()) renew(std::move(changes.live));
  if (changes.others.empty()) return;
  deaths_ = 0;
  pending_.take(changes.others);
  schedule();
}

// A gateway that begins is given what can be used, as it would refuse the rest, and is told of that when it serves. One
// that has begun and does not serve yet has what there was before: it hears of this behind it.
void Renewal::renew(config::Files live) {
  config::Files usable = usable_of(live);
  Bundle changed;
  changed.files = std::move(live);
  auto sealed = seal(changed);
  if (!sealed) {
    log::warning("what has changed cannot be handed to the gateway", {{"reason", sealed.error().message}});
  } else {
    net::Descriptors one;
    one.push_back(std::move(*sealed));
    means_.send(Renewed{}, std::move(one));
  }
  means_.present.bundle.files.take(usable);
}

config::Files Renewal::usable_of(const config::Files& live) {
  for (const auto& [path, file] : live.by_path()) unusable_.erase(path);
  for (const runtime::LiveFile& file : runtime::live_files(*means_.present.runtime)) {
    const auto found = live.by_path().find(file.path);
    if (found == live.by_path().end()) continue;
    if (!found->second || !file.renew(found->second)) unusable_.insert(file.path);
  }
  config::Files usable;
  for (const auto& [path, file] : live.by_path()) {
    if (!unusable_.contains(path)) usable.put(path, file);
  }
  return usable;
}

void Renewal::schedule() {
  if (trial_ || reloading_ || !serving_) return;
  const std::chrono::milliseconds since(last_ ? loop_.now() - *last_ : between_.count());
  timer_.start(std::max(between_ - since, std::chrono::milliseconds(0)));
}

void Renewal::attempt() {
  if (trial_ || reloading_ || !serving_ || pending_.empty()) return;
  last_ = loop_.now();
  Bundle& bundle = means_.present.bundle;
  before_ = std::exchange(pending_, {});
  bundle.files.exchange(before_);
  config::Loaded loaded = load(bundle);
  trial_ = Trial{++latest_, nullptr, changed_files(loaded)};
  runtime::Made made = runtime::prepare_again(std::move(loaded), bundle.files, *means_.present.runtime);
  if (made.runtime == nullptr) return take_back(made.loaded.first_error());
  if (auto sent = send_trial(std::move(made.runtime)); !sent) take_back(sent.error().message);
}

Result<void> Renewal::send_trial(std::shared_ptr<const runtime::Runtime> runtime) {
  auto sealed = seal(means_.present.bundle);
  if (!sealed) return tl::unexpected(sealed.error());
  trial_->runtime = std::move(runtime);
  if (means_.signers != nullptr) means_.signers->add(trial_->version, means_.present.keys);
  net::Descriptors one;
  one.push_back(std::move(*sealed));
  means_.send(Snapshot{trial_->version}, std::move(one));
  means_.send(Commit{trial_->version, means_.workers}, {});
  return {};
}

std::vector<config::NamedFile> Renewal::changed_files(const config::Loaded& loaded) const {
  std::vector<config::NamedFile> changed;
  for (config::NamedFile& file : config::files_of(loaded)) {
    const bool known = std::ranges::find(changed, file.path, &config::NamedFile::path) != changed.end();
    if (!known && before_.by_path().contains(file.path)) changed.push_back(std::move(file));
  }
  if (!before_.authorities().path.empty()) {
    changed.push_back({{}, means_.present.bundle.files.authorities().path, config::FileUse::authorities, {}});
  }
  return changed;
}

// All of it is as it was. What has changed is tried again with the next change, and what has done so meanwhile now.
void Renewal::take_back(const std::string& why) {
  const std::string files = list_of(trial_->files);
  if (why != std::exchange(trouble_, why)) {
    log::warning("what has changed is not taken over", {{"files", files}, {"reason", why}});
    if (means_.on_trouble) means_.on_trouble();
  }
  if (means_.signers != nullptr) means_.signers->drop(trial_->version);
  trial_.reset();
  means_.present.bundle.files.exchange(before_);
  config::Files tried = std::exchange(before_, {});
  const bool newer = !pending_.empty();
  tried.take(pending_);
  pending_ = std::move(tried);
  if (newer) schedule();
}

bool Renewal::hear(const Serving& report) {
  if (!trial_ || report.version != trial_->version) {
    serving_ = true;
    watch_.tell_again(unusable_);
    if (!pending_.empty() && deaths_ < 2) schedule();
    return false;
  }
  const Trial done = *std::exchange(trial_, std::nullopt);
  means_.present.runtime = done.runtime;
  version_ = done.version;
  before_ = config::Files();
  trouble_.clear();
  for (const auto& file : done.files) {
    log::info("a file was read again", {{"file", file.path}, {"use", config::to_string(file.use)}});
  }
  means_.swapped();
  if (!pending_.empty()) schedule();
  return true;
}

bool Renewal::hear(const Refused& report) {
  if (!trial_ || report.version != trial_->version) return false;
  take_back(report.text);
  return true;
}

void Renewal::on_gateway_end() {
  serving_ = false;
  timer_.stop();
  if (!trial_) return;
  ++deaths_;
  take_back("the gateway was lost before it served that");
}

}  // namespace postern::keeper
