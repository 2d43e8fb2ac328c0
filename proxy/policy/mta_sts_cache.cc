#include "proxy/policy/mta_sts_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "config/file.h"
#include "config/text.h"
#include "config/values.h"

namespace postern::policy {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds retry_after = 5min;  // RFC 8461 3.3
constexpr std::chrono::seconds refresh_after = 24h;
constexpr std::string_view first_line = "postern-mta-sts 1\n";
constexpr std::string_view suffix = ".mta-sts";
constexpr std::size_t max_file = max_mta_sts_policy + 1024;

Time refresh_time(const CachedPolicy& entry) {
  return entry.fetched + std::min(refresh_after, entry.policy.max_age / 2);
}

// Takes "name: value\n" off the front.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view name) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  if (!line.starts_with(name) || !line.substr(name.size()).starts_with(": ")) return std::nullopt;
  return line.substr(name.size() + 2);
}

std::optional<Time> time_of(std::string_view text) {
  const auto seconds = config::whole_number<std::int64_t>(text);
  if (!seconds || *seconds < 0 || *seconds > (std::int64_t{1} << 40)) return std::nullopt;
  return Time(std::chrono::seconds(*seconds));
}

std::string path_of(const std::string& directory, std::string_view domain) {
  return directory + "/" + std::string(domain) + std::string(suffix);
}

// What an entry takes in memory. A string costs its object, whatever its length: thousands of short mx lines are more
// than their text.
std::size_t octets_of(std::string_view domain, const CachedPolicy& entry) {
  constexpr std::size_t overhead = 64;  // of the map, and of the allocator
  std::size_t octets = overhead + sizeof(std::string) + domain.size() + sizeof(CachedPolicy) + entry.id.size();
  for (const std::string& mx : entry.policy.mx) octets += sizeof(std::string) + mx.size();
  return octets;
}

Result<CachedPolicy> read_cached_policy(const std::string& directory, std::string_view domain) {
  const std::string path = path_of(directory, domain);
  const auto file = config::read_file(path, max_file);
  if (!file) return tl::unexpected(file.error());
  auto entry = parse_cached_policy(domain, file->content);
  if (!entry) return fail(entry.error().code, "cannot use " + path + ": " + entry.error().message);
  return entry;
}

// The domains whose files are there, those written last first.
Result<std::vector<std::string>> list_cached_policies(const std::string& directory) {
  struct Found {
    std::filesystem::file_time_type written;
    std::string domain;
  };
  std::vector<Found> found;
  std::error_code error;
  for (std::filesystem::directory_iterator file(directory, error), end; !error && file != end; file.increment(error)) {
    const std::string name = file->path().filename().string();
    if (!name.ends_with(suffix)) continue;
    std::string domain = name.substr(0, name.size() - suffix.size());
    if (!config::is_host_name(domain)) continue;
    std::error_code unknown;  // then it is as old as can be
    found.push_back({file->last_write_time(unknown), std::move(domain)});
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(Errc::io, "cannot read " + directory + ": " + error.message());
  }
  std::ranges::sort(found, std::ranges::greater{}, &Found::written);
  std::vector<std::string> domains;
  domains.reserve(found.size());
  for (Found& one : found) domains.push_back(std::move(one.domain));
  return domains;
}

}  // namespace

const CachedPolicy* MtaStsCache::find(std::string_view domain, Time now) const {
  const auto entry = entries_.find(domain);
  return entry != entries_.end() && entry->second.policy.expires() > now ? &entry->second.policy : nullptr;
}

bool MtaStsCache::should_fetch(std::string_view domain, std::string_view id, Time now) const {
  const auto failure = failures_.find(domain);
  const bool failed_lately = failure != failures_.end() && now < failure->second.time + retry_after;
  if (failed_lately && (id.empty() || id == failure->second.id)) return false;
  const CachedPolicy* entry = find(domain, now);
  // A policy that ends at once (max_age 0) is known for a while all the same.
  const auto held = entries_.find(domain);
  if (entry == nullptr && held != entries_.end() && held->second.policy.id == id &&
      now < held->second.policy.fetched + retry_after) {
    return false;
  }
  // Without a record nobody new has a policy; a policy in force is refreshed all the same, as its record may be hidden.
  if (entry == nullptr) return !id.empty();
  return (!id.empty() && entry->id != id) || now >= refresh_time(*entry);
}

std::vector<std::string> MtaStsCache::due(Time now, std::size_t limit) const {
  std::vector<std::string> domains;
  for (const auto& [domain, held] : entries_) {
    if (domains.size() == limit) break;
    const CachedPolicy& entry = held.policy;
    if (entry.policy.mode != MtaStsMode::none && entry.expires() > now && should_fetch(domain, {}, now)) {
      domains.push_back(domain);
    }
  }
  return domains;
}

std::vector<std::string> MtaStsCache::store(std::string_view domain, CachedPolicy entry) {
  if (const auto before = entries_.find(domain); before != entries_.end()) forget(before);
  if (const auto failure = failures_.find(domain); failure != failures_.end()) failures_.erase(failure);
  const std::size_t octets = octets_of(domain, entry);
  octets_ += octets;
  entries_.insert_or_assign(std::string(domain), Held{std::move(entry), octets});

  std::vector<std::string> gone;
  // The one that would be the next to end protects the shortest.
  while (entries_.size() > std::max<std::size_t>(max_entries_, 1)) {
    gone.push_back(evict(domain, [](const Held& a, const Held& b) { return a.policy.expires() < b.policy.expires(); }));
  }
  // A policy that is meant to be one is short: whoever publishes long ones crowds out nobody but his like.
  while (octets_ > max_octets_ && entries_.size() > 1) {
    gone.push_back(evict(domain, [](const Held& a, const Held& b) { return a.octets > b.octets; }));
  }
  return gone;
}

MtaStsCache::Entries::iterator MtaStsCache::forget(Entries::iterator entry) {
  octets_ -= entry->second.octets;
  return entries_.erase(entry);
}

// Of all `but` one. There is another.
template <class Less>
std::string MtaStsCache::evict(std::string_view but, Less goes_before) {
  const auto entry = std::min_element(entries_.begin(), entries_.end(), [&](const auto& a, const auto& b) {
    if (a.first == but || b.first == but) return b.first == but && a.first != but;
    return goes_before(a.second, b.second);
  });
  std::string domain = entry->first;
  forget(entry);
  return domain;
}

void MtaStsCache::fetch_failed(std::string_view domain, std::string_view id, Time now) {
  if (failures_.size() >= max_entries_) expire(now);
  if (failures_.size() >= max_entries_) failures_.clear();
  failures_.insert_or_assign(std::string(domain), Failure{std::string(id), now});
}

std::vector<std::string> MtaStsCache::expire(Time now) {
  std::vector<std::string> gone;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (entry->second.policy.expires() > now) {
      ++entry;
      continue;
    }
    gone.push_back(entry->first);
    entry = forget(entry);
  }
  std::erase_if(failures_, [now](const auto& failure) { return failure.second.time + retry_after <= now; });
  return gone;
}

std::string print_cached_policy(std::string_view domain, const CachedPolicy& entry) {
  std::string text(first_line);
  text.append("domain: ").append(domain).append("\nid: ").append(entry.id);
  text += "\nfetched: " + std::to_string(entry.fetched.time_since_epoch().count()) + "\n\n";
  return text + to_string(entry.policy);
}

Result<CachedPolicy> parse_cached_policy(std::string_view domain, std::string_view text) {
  if (!text.starts_with(first_line)) return fail(Errc::protocol, "not a file of the MTA-STS cache");
  text.remove_prefix(first_line.size());
  const auto owner = take_line(text, "domain");
  const auto id = take_line(text, "id");
  const auto fetched = time_of(take_line(text, "fetched").value_or(""));
  if (!owner || *owner != domain || !id || !fetched || !text.starts_with('\n')) {
    return fail(Errc::protocol, "a damaged file of the MTA-STS cache");
  }
  auto policy = parse_mta_sts_policy(text.substr(1));
  if (!policy) return tl::unexpected(policy.error());
  return CachedPolicy{std::string(*id), std::move(*policy), *fetched};
}

std::optional<Error> write_cached_policy(const std::string& directory, std::string_view domain,
                                         const CachedPolicy& entry) {
  if (!config::is_host_name(domain)) return Error{Errc::invalid_argument, "not a domain"};
  const std::string path = path_of(directory, domain);
  const std::string text = print_cached_policy(domain, entry);
  auto error = config::write_file(path, text);
  if (error && error->code == Errc::not_found && ::mkdir(directory.c_str(), S_IRWXU) == 0) {
    error = config::write_file(path, text);
  }
  return error;
}

std::optional<Error> remove_cached_policy(const std::string& directory, std::string_view domain) {
  if (!config::is_host_name(domain)) return Error{Errc::invalid_argument, "not a domain"};
  const std::string path = path_of(directory, domain);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return std::nullopt;
  return Error{Errc::io, "cannot remove " + path + ": " + std::strerror(errno)};
}

std::optional<Error> read_cached_policies(const std::string& directory, Time now, Keep keep, MtaStsCache& cache) {
  const auto domains = list_cached_policies(directory);
  if (!domains) return domains.error();
  std::optional<Error> error;
  std::size_t errors = 0;
  std::vector<std::string> gone;
  for (const std::string& domain : *domains) {
    if (cache.full()) {
      gone.push_back(domain);
      continue;
    }
    auto entry = read_cached_policy(directory, domain);
    if (!entry) {
      if (entry.error().code != Errc::not_found && ++errors == 1) error = entry.error();
      continue;
    }
    // A clock that was ahead must not make a policy last longer than its max_age from now.
    entry->fetched = std::min(entry->fetched, now);
    if (entry->expires() <= now) {
      gone.push_back(domain);
      continue;
    }
    const auto evicted = cache.store(domain, std::move(*entry));
    gone.insert(gone.end(), evicted.begin(), evicted.end());
  }
  if (keep == Keep::all) gone.clear();
  if (keep == Keep::useful) config::remove_unfinished_files(directory);
  for (const std::string& domain : gone) {
    if (const auto failed = remove_cached_policy(directory, domain); failed && ++errors == 1) error = failed;
  }
  if (errors > 1) error->message += " (and " + std::to_string(errors - 1) + " more)";
  return error;
}

}  // namespace postern::policy
