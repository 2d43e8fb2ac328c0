// MTA-STS policies that have been fetched, by domain, until their max_age is over (RFC 8461 3.3, 5.1): what to use,
// when to fetch, and one small file for each domain so that a restart forgets nothing. The core is pure; files are at
// the end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "proxy/policy/mta_sts_policy.h"

namespace postern::policy {

// Seconds since 1970, UTC: entries outlive the process.
using Clock = std::chrono::system_clock;
using Time = std::chrono::time_point<Clock, std::chrono::seconds>;

struct CachedPolicy {
  std::string id;  // of the TXT record it was fetched for
  MtaStsPolicy policy;
  Time fetched{};
  Time expires() const { return fetched + policy.max_age; }
  bool operator==(const CachedPolicy&) const = default;
};

class MtaStsCache {
 public:
  // 16 MiB are enough for that many policies of the usual size, some hundred octets.
  explicit MtaStsCache(std::size_t max_entries = 10000, std::size_t max_octets = 16U << 20U)
      : max_entries_(max_entries), max_octets_(max_octets) {}

  // The policy in force; null: none known, or too old. Mode none is an entry too, and means no policy.
  const CachedPolicy* find(std::string_view domain, Time now) const;

  // The policy must be fetched, as `id` (from the TXT record just looked up; empty: there is no valid record, or the
  // lookup failed) is new, or what we have is a day old or half its age. Not within five minutes of an attempt for the
  // same id, failed or not; another id is another policy.
  // What is in force stays so meanwhile, and also if the fetch fails.
  bool should_fetch(std::string_view domain, std::string_view id, Time now) const;
  // Domains whose policy is to be refreshed although no mail asks for it, at most `limit`.
  std::vector<std::string> due(Time now, std::size_t limit) const;

  // Returns the domains whose policy had to make room, and whose file can go: never the one just stored.
  std::vector<std::string> store(std::string_view domain, CachedPolicy entry);
  // `id`: as with should_fetch().
  void fetch_failed(std::string_view domain, std::string_view id, Time now);
  // Drops what is expired, and failures long past. Returns the domains whose file can go.
  std::vector<std::string> expire(Time now);
  std::size_t size() const { return entries_.size(); }
  // In memory, near enough.
  std::size_t octets() const { return octets_; }
  bool full() const { return entries_.size() >= max_entries_; }

 private:
  struct Held {
    CachedPolicy policy;
    std::size_t octets = 0;
  };
  using Entries = std::map<std::string, Held, std::less<>>;

  Entries::iterator forget(Entries::iterator entry);
  template <class Less>
  std::string evict(std::string_view but, Less goes_before);

  std::size_t max_entries_;
  std::size_t max_octets_;
  std::size_t octets_ = 0;  // of all entries
  Entries entries_;
  struct Failure {
    std::string id;
    Time time{};
  };
  std::map<std::string, Failure, std::less<>> failures_;
};

// The file's text, and back. Errc::protocol: not ours, damaged, or for another domain.
std::string print_cached_policy(std::string_view domain, const CachedPolicy& entry);
Result<CachedPolicy> parse_cached_policy(std::string_view domain, std::string_view text);

// `directory` holds DOMAIN.mta-sts files, and is made, for its owner alone, where it is missing and its parent is not.
// Writing is atomic: readers see the old file or the new. Domains are host names, so they are safe as file names.
std::optional<Error> write_cached_policy(const std::string& directory, std::string_view domain,
                                         const CachedPolicy& entry);
std::optional<Error> remove_cached_policy(const std::string& directory, std::string_view domain);

// Reads what it can, beginning with what was written last (what is in use is written every day), until the cache is
// full. Keep::useful removes the files of policies that are too old or had no room, and what a crash left half written.
// The error is of the first file that cannot be used and says how many more there are, or of the directory; one that
// does not exist is empty.
enum class Keep : std::uint8_t { useful, all };
std::optional<Error> read_cached_policies(const std::string& directory, Time now, Keep keep, MtaStsCache& cache);

}  // namespace postern::policy
