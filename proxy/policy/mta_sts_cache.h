// MTA-STS policies that have been fetched, by domain, until their max_age is over (RFC 8461 3.3, 5.1): what to use,
// when to fetch, and one small file for each domain so that a restart forgets nothing. The core is pure; files are at
// the end.
#pragma once

#include <chrono>
#include <cstddef>
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
  explicit MtaStsCache(std::size_t max_entries = 10000) : max_entries_(max_entries) {}

  // The policy in force; null: none known, or too old. Mode none is an entry too, and means no policy.
  const CachedPolicy* find(std::string_view domain, Time now) const;

  // The policy must be fetched, as `id` (from the TXT record just looked up; empty: there is no valid record, or the
  // lookup failed) is new, or what we have is a day old or half its age. Not within five minutes of a failed attempt.
  // What is in force stays so meanwhile, and also if the fetch fails.
  bool should_fetch(std::string_view domain, std::string_view id, Time now) const;
  // Domains whose policy is to be refreshed although no mail asks for it, at most `limit`.
  std::vector<std::string> due(Time now, std::size_t limit) const;

  void store(std::string_view domain, CachedPolicy entry);
  void fetch_failed(std::string_view domain, Time now);
  // Drops what is expired, and failures long past. Returns the domains whose file can go.
  std::vector<std::string> expire(Time now);
  std::size_t size() const { return entries_.size(); }

 private:
  void make_room();

  std::size_t max_entries_;
  std::map<std::string, CachedPolicy, std::less<>> entries_;
  std::map<std::string, Time, std::less<>> failures_;
};

// The file's text, and back. Errc::protocol: not ours, damaged, or for another domain.
std::string print_cached_policy(std::string_view domain, const CachedPolicy& entry);
Result<CachedPolicy> parse_cached_policy(std::string_view domain, std::string_view text);

// `directory` holds DOMAIN.mta-sts files. Writing is atomic: readers see the old file or the new. Reading takes what it
// can, at most `limit` files, removes those that are too old, and passes over the rest. Domains are host names, so they
// are safe as file names.
std::optional<Error> write_cached_policy(const std::string& directory, std::string_view domain,
                                         const CachedPolicy& entry);
void remove_cached_policy(const std::string& directory, std::string_view domain);
std::size_t read_cached_policies(const std::string& directory, Time now, std::size_t limit, MtaStsCache& cache);

}  // namespace postern::policy
