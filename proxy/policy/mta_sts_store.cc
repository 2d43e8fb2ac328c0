#include "proxy/policy/mta_sts_store.h"

#include <utility>

namespace postern::policy {

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

std::vector<std::string> MtaStsStore::due(Time now, std::size_t limit) const {
  const std::scoped_lock lock(mutex_);
  return cache_.due(now, limit);
}

void MtaStsStore::fetch_failed(std::string_view domain, Time now) {
  const std::scoped_lock lock(mutex_);
  cache_.fetch_failed(domain, now);
}

std::optional<Error> MtaStsStore::store(std::string_view domain, CachedPolicy entry) {
  {
    const std::scoped_lock lock(mutex_);
    cache_.store(domain, entry);
  }
  // Files are replaced whole, so two workers that write one at the same time leave one of both.
  return directory_.empty() ? std::nullopt : write_cached_policy(directory_, domain, entry);
}

void MtaStsStore::expire(Time now) {
  std::vector<std::string> gone;
  {
    const std::scoped_lock lock(mutex_);
    gone = cache_.expire(now);
  }
  if (directory_.empty()) return;
  for (const std::string& domain : gone) remove_cached_policy(directory_, domain);
}

}  // namespace postern::policy
