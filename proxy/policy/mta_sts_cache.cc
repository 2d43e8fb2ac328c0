#include "proxy/policy/mta_sts_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

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
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size() || seconds < 0 || seconds > (std::int64_t{1} << 40))
    return std::nullopt;
  return Time(std::chrono::seconds(seconds));
}

std::string path_of(const std::string& directory, std::string_view domain) {
  return directory + "/" + std::string(domain) + std::string(suffix);
}

Error system_error(const std::string& what) {
  return Error{Errc::io, what + ": " + std::strerror(errno)};
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(max_file, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

const CachedPolicy* MtaStsCache::find(std::string_view domain, Time now) const {
  const auto entry = entries_.find(domain);
  return entry != entries_.end() && entry->second.expires() > now ? &entry->second : nullptr;
}

bool MtaStsCache::should_fetch(std::string_view domain, std::string_view id, Time now) const {
  const auto failure = failures_.find(domain);
  if (failure != failures_.end() && now < failure->second + retry_after) return false;
  const CachedPolicy* entry = find(domain, now);
  // Without a record nobody new has a policy; a policy in force is refreshed all the same, as its record may be hidden.
  if (entry == nullptr) return !id.empty();
  return (!id.empty() && entry->id != id) || now >= refresh_time(*entry);
}

std::vector<std::string> MtaStsCache::due(Time now, std::size_t limit) const {
  std::vector<std::string> domains;
  for (const auto& [domain, entry] : entries_) {
    if (domains.size() == limit) break;
    if (entry.policy.mode != MtaStsMode::none && entry.expires() > now && should_fetch(domain, {}, now))
      domains.push_back(domain);
  }
  return domains;
}

void MtaStsCache::store(std::string_view domain, CachedPolicy entry) {
  if (entries_.find(domain) == entries_.end()) make_room();
  entries_.insert_or_assign(std::string(domain), std::move(entry));
  if (const auto failure = failures_.find(domain); failure != failures_.end()) failures_.erase(failure);
}

// The policy that would be the next to end makes room: it protects the shortest.
void MtaStsCache::make_room() {
  if (entries_.size() < max_entries_) return;
  entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return a.second.expires() < b.second.expires();
  }));
}

void MtaStsCache::fetch_failed(std::string_view domain, Time now) {
  if (failures_.size() >= max_entries_) expire(now);
  if (failures_.size() >= max_entries_) failures_.clear();
  failures_.insert_or_assign(std::string(domain), now);
}

std::vector<std::string> MtaStsCache::expire(Time now) {
  std::vector<std::string> gone;
  std::erase_if(entries_, [&](const auto& entry) {
    if (entry.second.expires() > now) return false;
    gone.push_back(entry.first);
    return true;
  });
  std::erase_if(failures_, [now](const auto& failure) { return failure.second + retry_after <= now; });
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
  if (!owner || *owner != domain || !id || !fetched || !text.starts_with('\n'))
    return fail(Errc::protocol, "a damaged file of the MTA-STS cache");
  auto policy = parse_mta_sts_policy(text.substr(1));
  if (!policy) return tl::unexpected(policy.error());
  return CachedPolicy{std::string(*id), std::move(*policy), *fetched};
}

std::optional<Error> write_cached_policy(const std::string& directory, std::string_view domain,
                                         const CachedPolicy& entry) {
  if (!config::is_host_name(domain)) return Error{Errc::invalid_argument, "not a domain"};
  std::string temporary = directory + "/.mta-sts-XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return system_error("creating a file in " + directory);
  std::optional<Error> error;
  if (!write_all(fd, print_cached_policy(domain, entry)) || ::fsync(fd) != 0)
    error = system_error("writing " + temporary);
  ::close(fd);
  const std::string path = path_of(directory, domain);
  if (!error && ::rename(temporary.c_str(), path.c_str()) != 0) error = system_error("renaming to " + path);
  if (error) ::unlink(temporary.c_str());
  return error;
}

void remove_cached_policy(const std::string& directory, std::string_view domain) {
  if (config::is_host_name(domain)) ::unlink(path_of(directory, domain).c_str());
}

std::size_t read_cached_policies(const std::string& directory, Time now, std::size_t limit, MtaStsCache& cache) {
  std::size_t taken = 0;
  std::error_code ignored;
  for (std::filesystem::directory_iterator file(directory, ignored), end; !ignored && file != end && taken < limit;
       file.increment(ignored)) {
    const std::string name = file->path().filename().string();
    if (!name.ends_with(suffix)) continue;
    const std::string domain = name.substr(0, name.size() - suffix.size());
    if (!config::is_host_name(domain)) continue;
    auto entry = parse_cached_policy(domain, read_file(file->path()));
    if (!entry) continue;
    // A clock that was ahead must not make a policy last longer than its max_age from now.
    entry->fetched = std::min(entry->fetched, now);
    if (entry->expires() <= now) {
      remove_cached_policy(directory, domain);
      continue;
    }
    cache.store(domain, std::move(*entry));
    ++taken;
  }
  return taken;
}

}  // namespace postern::policy
