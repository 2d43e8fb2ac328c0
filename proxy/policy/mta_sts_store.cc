#include "proxy/policy/mta_sts_store.h"

#include <utility>

namespace postern::policy {

namespace {
// Longer than a fetch may take; short enough that a refresh which came to nothing is made up for.
constexpr std::chrono::minutes taken_for{5};
}  // namespace

MtaStsStore::MtaStsStore(std::string directory, Time now) : directory_(std::move(directory)) {
  if (!directory_.empty()) read_cached_policies(directory_, now, max_files, cache_);
}

std::optional<CachedPolicy> MtaStsStore::find(std::string_view domain, Time now) const {
  const std::scoped_lock lock(mutex_);
  const CachedPolicy* found = cache_.find(domain, now);
  return found != nullptr ? std::optional(*found) : std::nullopt;
}

bool MtaStsStore::should_fetch(std::string_view domain, std::string_view id, Time now) const {
  const std::scoped_lock lock(mutex_);
  return cache_.should_fetch(domain, id, now);
}

std::vector<std::string> MtaStsStore::take_due(Time now, std::size_t limit) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(taken_, [now](const auto& taken) { return taken.second + taken_for <= now; });
  std::vector<std::string> domains = cache_.due(now, limit + taken_.size());
  std::erase_if(domains, [this](const std::string& domain) { return taken_.contains(domain); });
  if (domains.size() > limit) domains.resize(limit);
  for (const std::string& domain : domains) taken_.emplace(domain, now);
  return domains;
}

void MtaStsStore::fetch_failed(std::string_view domain, ReportResult trouble, Time now) {
  const std::scoped_lock lock(mutex_);
  cache_.fetch_failed(domain, now);
  if (troubles_.size() >= max_troubles) troubles_.clear();
  troubles_.insert_or_assign(std::string(domain), trouble);
}

std::optional<ReportResult> MtaStsStore::trouble(std::string_view domain) const {
  const std::scoped_lock lock(mutex_);
  const auto found = troubles_.find(domain);
  return found != troubles_.end() ? std::optional(found->second) : std::nullopt;
}

std::optional<Error> MtaStsStore::store(std::string_view domain, CachedPolicy entry) {
  {
    const std::scoped_lock lock(mutex_);
    cache_.store(domain, entry);
    if (const auto trouble = troubles_.find(domain); trouble != troubles_.end()) troubles_.erase(trouble);
  }
  // Files are replaced whole, so two workers that write one at the same time leave one of both.
  return directory_.empty() ? std::nullopt : write_cached_policy(directory_, domain, entry);
}

void MtaStsStore::expire(Time now) {
  const std::scoped_lock lock(mutex_);  // held to the end: a file written anew meanwhile must not go
  const auto gone = cache_.expire(now);
  if (directory_.empty()) return;
  for (const std::string& domain : gone) remove_cached_policy(directory_, domain);
}

}  // namespace postern::policy
