// The MTA-STS policies that this process knows, for all of its workers, and their files in the state directory.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/policy/mta_sts_cache.h"
#include "proxy/policy/report_types.h"

namespace postern::policy {

// Thread-safe.
class MtaStsStore {
 public:
  // Reads what a process before this one has left in `directory`; empty: nothing outlives the process.
  MtaStsStore(std::string directory, Time now);

  std::optional<CachedPolicy> find(std::string_view domain, Time now) const;
  // As MtaStsCache has it.
  bool should_fetch(std::string_view domain, std::string_view id, Time now) const;
  // Domains whose policy the caller is to refresh, at most `limit`: nobody else is given them for some minutes.
  std::vector<std::string> take_due(Time now, std::size_t limit);
  void fetch_failed(std::string_view domain, ReportResult trouble, Time now);
  // Why the last fetch failed, if it did.
  std::optional<ReportResult> trouble(std::string_view domain) const;
  // An error is for the log alone: the policy is known all the same, until the process ends.
  std::optional<Error> store(std::string_view domain, CachedPolicy entry);
  // Forgets what is too old, its file too.
  void expire(Time now);

 private:
  static constexpr std::size_t max_files = 10000;
  static constexpr std::size_t max_troubles = 10000;

  const std::string directory_;
  mutable std::mutex mutex_;
  MtaStsCache cache_;
  std::map<std::string, ReportResult, std::less<>> troubles_;
  std::map<std::string, Time, std::less<>> taken_;  // given out by take_due, and when
};

}  // namespace postern::policy
