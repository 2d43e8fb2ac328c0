// The MTA-STS policies that this process knows for listeners that trust the same CAs, for all of its workers, and their
// files.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/policy/mta_sts_cache.h"
#include "proxy/policy/report_types.h"

namespace postern::policy {

// Thread-safe. No call waits for the disk but the constructor, the destructor and flush(): a thread of the store's own
// makes the files as the policies are. It starts with the first change, so that it has the privileges of whoever makes
// that.
class MtaStsStore {
 public:
  enum class Access : std::uint8_t { read_write, read_only };  // read_only: files stay as they are
  // For the log alone: what cannot be read or written. A policy that could not be written is known all the same, until
  // the process ends. Called by the constructor, and by the thread that writes.
  using Complain = std::function<void(const Error&)>;

  // Reads what a process before this one has left in `directory`; empty: nothing outlives the process.
  MtaStsStore(std::string directory, Time now, Access access = Access::read_write, Complain complain = nullptr);
  // What was stored is on disk then.
  ~MtaStsStore();
  MtaStsStore(const MtaStsStore&) = delete;
  MtaStsStore& operator=(const MtaStsStore&) = delete;

  std::optional<CachedPolicy> find(std::string_view domain, Time now) const;
  // As MtaStsCache has it.
  bool should_fetch(std::string_view domain, std::string_view id, Time now) const;
  // Domains whose policy the caller is to refresh, at most `limit`: nobody else is given them for some minutes.
  std::vector<std::string> take_due(Time now, std::size_t limit);
  struct Trouble {
    ReportResult result = ReportResult::sts_policy_fetch_error;
    std::string reason;  // for people
  };
  void fetch_failed(std::string_view domain, std::string_view id, Trouble trouble, Time now);
  // Why the last fetch failed, if it did.
  std::optional<Trouble> trouble(std::string_view domain) const;
  void store(std::string_view domain, CachedPolicy entry);
  // Forgets what is too old, its file too.
  void expire(Time now);
  // Waits until the files are as the policies were when it was called.
  void flush();

 private:
  static constexpr std::size_t max_troubles = 10000;
  // More than there are policies: the rest are files to be removed. Beyond that the disk stands still.
  static constexpr std::size_t max_changed = 20000;

  void changed(std::string domain);
  void write_changes();

  const std::string directory_;
  const Access access_;
  const Complain complain_;
  mutable std::mutex mutex_;
  MtaStsCache cache_;
  std::map<std::string, Trouble, std::less<>> troubles_;
  std::map<std::string, Time, std::less<>> taken_;  // given out by take_due, and when
  std::set<std::string> changed_;                   // domains whose file is not yet what the cache says
  std::size_t missed_ = 0;                          // changes beyond max_changed
  bool writing_ = false;
  bool ending_ = false;
  std::condition_variable wake_;     // for the thread: there is something to do
  std::condition_variable settled_;  // there is nothing left to do
  std::thread writer_;
};

}  // namespace postern::policy
