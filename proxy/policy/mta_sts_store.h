// The MTA-STS policies that this process knows, for all of its workers, and their files in the state directory.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/policy/mta_sts_cache.h"

namespace postern::policy {

// Thread-safe.
class MtaStsStore {
 public:
  // Reads what a process before this one has left in `directory`; empty: nothing outlives the process.
  MtaStsStore(std::string directory, Time now);

  std::optional<CachedPolicy> find(std::string_view domain, Time now) const;
  // As MtaStsCache has them.
  bool should_fetch(std::string_view domain, std::string_view id, Time now) const;
  std::vector<std::string> due(Time now, std::size_t limit) const;
  void fetch_failed(std::string_view domain, Time now);
  // An error is for the log alone: the policy is known all the same, until the process ends.
  std::optional<Error> store(std::string_view domain, CachedPolicy entry);
  // Forgets what is too old, its file too.
  void expire(Time now);

 private:
  static constexpr std::size_t max_files = 10000;

  std::string directory_;
  mutable std::mutex mutex_;
  MtaStsCache cache_;
};

}  // namespace postern::policy
