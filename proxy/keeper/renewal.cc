#include "proxy/keeper/renewal.h"

#include <algorithm>
#include <utility>

#include "config/load.h"
#include "config/text.h"
#include "proxy/keeper/bundle.h"
#include "proxy/keeper/signers.h"
#include "proxy/observe/log.h"
#include "proxy/runtime/needs.h"
#include "proxy/runtime/preflight.h"
#include "tls/contexts.h"

namespace postern::keeper {

namespace {

config::Loaded load(const Bundle& bundle) {
  return config::load_text(bundle.text, bundle.name, config::environment_of(bundle.variables));
}

bool keeps_keys(const runtime::Runtime& runtime) {
  return runtime.settings.private_keys == config::PrivateKeys::separate;
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
  unusable_.clear();
  serving_ = true;
  const config::Loaded loaded = load(means_.present.bundle);
  watch_.watch(loaded, means_.present.bundle.files, means_.present.digests);
  pending_.begin(loaded, means_.present.digests);
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
    begin();
  } else {
    schedule();
  }
}

void Renewal::on_change(FileWatch::Changes changes) {
  for (auto& lost : changes.lost) {
    if (lost.is_new) {
      log::warning("a file cannot be read again",
                   {{"file", lost.path}, {"use", config::to_string(lost.use)}, {"reason", lost.why.message}});
    }
    changes.others.put(lost.path, tl::unexpected(std::move(lost.why)));
  }
  if (!changes.live.empty()) renew(std::move(changes.live));
  if (changes.others.empty()) return;
  pending_.put(changes.others, loop_.now());
  tell();
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
  const auto due = pending_.due();
  if (!due) return timer_.stop();
  const std::uint64_t now = loop_.now();
  const auto least = static_cast<std::uint64_t>(between_.count());
  const std::uint64_t at = std::max(*due, last_ ? *last_ + least : now);
  timer_.start(std::chrono::milliseconds(at > now ? at - now : 0));
}

void Renewal::attempt() {
  if (trial_ || reloading_ || !serving_) return;
  read_what_failed();
  auto changed = pending_.take(means_.present.bundle.files, loop_.now());
  tell();
  if (!changed) return schedule();
  last_ = loop_.now();
  Bundle& bundle = means_.present.bundle;
  before_ = std::move(*changed);
  bundle.files.exchange(before_);
  config::Loaded loaded = load(bundle);
  trial_ = Trial{++latest_, nullptr, changed_files(loaded), {}};
  if (keeps_keys(*means_.present.runtime)) {
    signing::Keys added = take_keys(loaded, bundle.files);
    trial_->keys = keys_in_use(loaded, bundle.files, std::move(added), means_.present.keys);
  }
  runtime::Made made = runtime::prepare_again(std::move(loaded), bundle.files, *means_.present.runtime);
  if (made.runtime == nullptr) return take_back(made.loaded.first_error());
  if (!asks_guard(made.runtime)) try_it(std::move(made.runtime));
}

// True: what comes of it is told later.
bool Renewal::asks_guard(const std::shared_ptr<const runtime::Runtime>& runtime) {
  if (means_.guard == nullptr || !runtime::needs(runtime->settings).guard) return false;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  auto places = guarded_places(runtime->settings, means_.present.runtime->contexts->certificates(),
                               runtime->contexts->certificates(), now);
  return means_.guard->ask(std::move(places), [this, runtime](const std::string& why) {
    if (!why.empty()) return take_back(why, RenewalFailure::guard);
    try_it(runtime);
  });
}

void Renewal::try_it(std::shared_ptr<const runtime::Runtime> runtime) {
  if (auto sent = send_trial(std::move(runtime)); !sent) take_back(sent.error().message);
}

// Contents of what could not be used, keys among them, are not kept.
void Renewal::read_what_failed() {
  const auto paths = pending_.wanted(loop_.now());
  if (paths.empty()) return;
  watch_.tell_again(paths);
  watch_.look();
}

// That a file which is no certificate's cannot be read has been said when it was found.
void Renewal::tell() {
  for (const Pending::News& news : pending_.news()) {
    if (!news.certificates.empty()) {
      log::warning("a certificate is not taken over", {{"certificate", news.certificates},
                                                       {"files", config::listed(news.files)},
                                                       {"failure", to_string(news.reason)},
                                                       {"reason", news.why},
                                                       {"effect", "what was there before is served"}});
    } else if (news.reason != RenewalFailure::unreadable) {
      log::warning("what has changed is not taken over", {{"files", config::listed(news.files)}, {"reason", news.why}});
    }
  }
  if (means_.on_trouble) means_.on_trouble();
}

Result<void> Renewal::send_trial(std::shared_ptr<const runtime::Runtime> runtime) {
  auto sealed = seal(means_.present.bundle);
  if (!sealed) return tl::unexpected(sealed.error());
  trial_->runtime = std::move(runtime);
  if (means_.signers != nullptr) means_.signers->add(trial_->version, trial_->keys);
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

// All of it is as it was.
void Renewal::take_back(const std::string& why, RenewalFailure reason, bool deadly) {
  const Trial failed = *std::exchange(trial_, std::nullopt);
  if (means_.signers != nullptr) means_.signers->drop(failed.version);
  means_.present.bundle.files.exchange(before_);
  before_ = config::Files();
  pending_.failed(reason, why, deadly, loop_.now());
  tell();
  schedule();
}

bool Renewal::hear(const Serving& report) {
  if (!trial_ || report.version != trial_->version) {
    serving_ = true;
    watch_.tell_again(unusable_);
    schedule();
    return false;
  }
  Trial done = *std::exchange(trial_, std::nullopt);
  means_.present.runtime = done.runtime;
  means_.present.keys = std::move(done.keys);
  version_ = done.version;
  before_ = config::Files();
  pending_.served(loop_.now());
  for (const auto& file : done.files) {
    log::info("a file was read again", {{"file", file.path}, {"use", config::to_string(file.use)}});
  }
  std::set<std::string> paths;
  for (const auto& file : done.files) paths.insert(file.path);
  if (means_.renewed) means_.renewed(config::listed(paths));
  means_.swapped();
  tell();
  schedule();
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
  if (means_.guard != nullptr) means_.guard->forget();
  const bool sent = trial_->runtime != nullptr;
  take_back("the gateway was lost before it served that", RenewalFailure::refused, sent);
}

}  // namespace postern::keeper
