#include "proxy/keeper/pending.h"

#include <algorithm>
#include <utility>

#include "config/text.h"
#include "tls/certificate_pair.h"

namespace postern::keeper {

namespace {

constexpr Pending::Time one_second = 1000;
constexpr Pending::Time longest_pause = 60 * one_second;
constexpr unsigned most_deaths = 2;

Pending::Time pause_after(unsigned failures) {
  return failures > 6 ? longest_pause : std::min(longest_pause, one_second << (failures - 1));
}

const Result<config::File>& in(const config::Files& contents, const config::Files& present, const std::string& path) {
  const auto found = contents.by_path().find(path);
  return found != contents.by_path().end() ? found->second : present.at(path);
}

}  // namespace

void Pending::begin(const config::Loaded& loaded, Digests served) {
  groups_.clear();
  taken_.clear();
  served_ = std::move(served);
  on_disk_ = served_;
  Certificates known = std::exchange(certificates_, {});
  for (const auto& [name, pairs] : loaded.settings.certificates) {
    CertificateState& state = certificates_[name];
    if (const auto found = known.find(name); found != known.end()) state = found->second;
    state.name = name;
    for (const config::CertificatePair& pair : pairs) add_pair(name, pair);
  }
  update_certificates();
}

// Whoever shares a file with others is in their group.
void Pending::add_pair(const std::string& name, const config::CertificatePair& pair) {
  Group group;
  group.certificates = {name};
  group.pairs = {pair};
  group.paths = {pair.chain, pair.key};
  for (auto each = groups_.begin(); each != groups_.end();) {
    if (!each->paths.contains(pair.chain) && !each->paths.contains(pair.key)) {
      ++each;
      continue;
    }
    group.certificates.merge(each->certificates);
    group.paths.merge(each->paths);
    group.pairs.insert(group.pairs.end(), each->pairs.begin(), each->pairs.end());
    each = groups_.erase(each);
  }
  groups_.push_back(std::move(group));
}

Pending::Group& Pending::group_of(const std::string& path) {
  const auto known = std::ranges::find_if(groups_, [&path](const Group& group) { return group.paths.contains(path); });
  if (known != groups_.end()) return *known;
  groups_.emplace_back().paths = {path};
  return groups_.back();
}

void Pending::put(config::Files& changed, Time now) {
  for (const auto& [path, file] : changed.by_path()) {
    Group& group = group_of(path);
    group.contents.put(path, file);
    note(path, digest_of(file), group, now);
  }
  if (!changed.authorities().path.empty()) {
    const std::string name(config::system_authorities);
    Group& group = group_of(name);
    group.contents.put_authorities(changed.authorities());
    note(name, digest_of(changed.authorities().file), group, now);
  }
  changed = config::Files();
  update_certificates();
}

void Pending::note(const std::string& path, std::string digest, Group& group, Time now) {
  std::string& known = on_disk_[path];
  const bool is_new = known != digest;
  known = std::move(digest);
  if (!differs(group)) return settle(group);
  if (!is_new) return;
  group.failures = 0;
  group.deaths = 0;
  group.alone = false;
  group.due = now;
}

// All of it is what is served.
void Pending::settle(Group& group) {
  group.contents = config::Files();
  group.trouble.clear();
  group.failures = 0;
  group.deaths = 0;
  group.alone = false;
}

bool Pending::differs(const std::string& path) const {
  const auto disk = on_disk_.find(path);
  const auto served = served_.find(path);
  return disk != on_disk_.end() && (served == served_.end() || served->second != disk->second);
}

bool Pending::differs(const Group& group) const {
  return std::ranges::any_of(group.paths, [this](const std::string& path) { return differs(path); });
}

bool Pending::is_there(const Group& group) const {
  return std::ranges::all_of(group.paths, [&](const std::string& path) {
    return !differs(path) || group.contents.by_path().contains(path) ||
           (path == config::system_authorities && !group.contents.authorities().path.empty());
  });
}

bool Pending::may_be_tried(const Group& group) const {
  return group.deaths < most_deaths && differs(group);
}

Pending::Paths Pending::wanted(Time now) const {
  Paths paths;
  for (const Group& group : groups_) {
    if (!may_be_tried(group) || group.due > now || is_there(group)) continue;
    paths.insert(group.paths.begin(), group.paths.end());
  }
  return paths;
}

std::optional<config::Files> Pending::take(const config::Files& present, Time now) {
  taken_.clear();
  config::Files taken;
  const auto is_due = [&](const Group& group) { return may_be_tried(group) && group.due <= now; };
  const bool alone = std::ranges::any_of(groups_, [&](const Group& group) { return is_due(group) && group.alone; });
  for (Group& group : groups_) {
    if (!is_due(group) || (alone && (!group.alone || !taken_.empty()))) continue;
    if (!is_there(group)) {
      group.due = now + one_second;
      continue;
    }
    group.tried.clear();
    for (const std::string& path : group.paths) {
      if (differs(path)) group.tried[path] = on_disk_[path];
    }
    if (const auto flaw = flaw_of(group, present)) {
      fail(group, *flaw, now);
      continue;
    }
    taken.take(group.contents);
    taken_.push_back(&group);
  }
  update_certificates();
  return taken_.empty() ? std::nullopt : std::optional(std::move(taken));
}

// What the group is like by itself. Of any file but a pair's, only all that is made of the configuration shows that.
std::optional<Pending::Flaw> Pending::flaw_of(const Group& group, const config::Files& present) const {
  const config::Files& contents = group.contents;
  for (const auto& [path, file] : contents.by_path()) {
    if (!file) return Flaw{RenewalFailure::unreadable, file.error().message};
  }
  if (!contents.authorities().path.empty() && !contents.authorities().file) {
    return Flaw{RenewalFailure::unreadable, contents.authorities().file.error().message};
  }
  for (const config::CertificatePair& pair : group.pairs) {
    const auto flaw = tls::flaw_of_pair(pair, in(contents, present, pair.chain), in(contents, present, pair.key));
    if (flaw) return Flaw{flaw->mismatch ? RenewalFailure::mismatch : RenewalFailure::malformed, flaw->why};
  }
  return std::nullopt;
}

// What has changed meanwhile is tried at once.
void Pending::fail(Group& group, const Flaw& flaw, Time now) {
  ++group.failures;
  const bool changed = std::ranges::any_of(group.paths, [&](const std::string& path) {
    const auto tried = group.tried.find(path);
    return differs(path) && (tried == group.tried.end() || tried->second != on_disk_[path]);
  });
  group.due = changed ? now : now + pause_after(group.failures);
  if (!changed) group.contents = config::Files();
  for (const std::string& name : group.certificates) {
    ++certificates_[name].failures[static_cast<std::size_t>(flaw.reason)];
  }
  group.reason = flaw.reason;
  if (flaw.why == std::exchange(group.trouble, flaw.why)) return;
  news_.push_back({config::listed(group.certificates), group.paths, flaw.reason, flaw.why});
}

void Pending::served(Time now) {
  for (Group* group : taken_) {
    for (const auto& [path, digest] : group->tried) served_[path] = digest;
    config::Files newer = std::move(group->contents);
    settle(*group);
    if (differs(*group)) group->contents = std::move(newer);
    group->due = now;
  }
  taken_.clear();
  update_certificates();
}

void Pending::failed(RenewalFailure reason, const std::string& why, bool deadly, Time now) {
  for (Group* group : taken_) {
    if (deadly) ++group->deaths;
    if (taken_.size() == 1) {
      fail(*group, {reason, why}, now);
    } else {
      group->alone = true;
      group->due = now;
    }
  }
  taken_.clear();
  update_certificates();
}

std::optional<Pending::Time> Pending::due() const {
  std::optional<Time> first;
  for (const Group& group : groups_) {
    if (may_be_tried(group)) first = std::min(first.value_or(group.due), group.due);
  }
  return first;
}

bool Pending::troubled() const {
  return std::ranges::any_of(groups_, [](const Group& group) { return !group.trouble.empty(); });
}

void Pending::update_certificates() {
  for (auto& [name, state] : certificates_) {
    state.differs_from_disk = false;
    state.why.clear();
  }
  for (const Group& group : groups_) {
    if (!differs(group)) continue;
    for (const std::string& name : group.certificates) {
      CertificateState& state = certificates_[name];
      state.differs_from_disk = true;
      if (!state.why.empty() || group.trouble.empty()) continue;
      state.why = std::string(to_string(group.reason)) + ": " + group.trouble;
    }
  }
}

}  // namespace postern::keeper
