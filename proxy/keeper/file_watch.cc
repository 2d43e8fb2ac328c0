#include "proxy/keeper/file_watch.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "config/file.h"
#include "proxy/runtime/needs.h"
#include "tls/tlsa.h"

namespace postern::keeper {

namespace {

constexpr std::int64_t second = 1'000'000'000;  // nanoseconds

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * second + time.tv_nsec;
}

// Keys and passwords are not kept to be compared.
std::string digest_of(const Result<config::File>& read) {
  return read ? tls::sha256(read->content) : "no content: " + read.error().message;
}

enum class Care : std::uint8_t { none, live, other };

Care care_for(config::FileUse use, const runtime::Needs& needs) {
  using config::FileUse;
  switch (use) {
    case FileUse::none:
    case FileUse::certificate_chain:
    case FileUse::private_key: return Care::none;  // a pair is taken over together
    case FileUse::ticket_keys:
    case FileUse::secret: return Care::live;
    case FileUse::client_authorities:
    case FileUse::authorities: return Care::other;
    case FileUse::trust_anchor: return needs.trust_anchor ? Care::other : Care::none;
  }
  return Care::none;
}

std::set<std::string> paths_of_certificates(const std::vector<config::NamedFile>& named) {
  std::set<std::string> paths;
  for (const config::NamedFile& file : named) {
    using config::FileUse;
    if (file.use == FileUse::certificate_chain || file.use == FileUse::private_key) paths.insert(file.path);
  }
  return paths;
}

}  // namespace

FileWatch::FileWatch(net::Loop& loop, OnChange on_change, std::chrono::milliseconds interval, Clock now)
    : on_change_(std::move(on_change)), interval_(interval), now_(now), timer_(loop.raw(), [this] {
        timer_.start(interval_);
        look();
      }) {}

void FileWatch::watch(const config::Loaded& loaded, const config::Files& as_read) {
  files_.clear();
  const runtime::Needs needs = runtime::needs(loaded.settings);
  const std::vector<config::NamedFile> named = config::files_of(loaded);
  const auto limits = config::limits_of(named);
  const auto certificates = paths_of_certificates(named);
  for (const config::NamedFile& file : named) {
    if (certificates.contains(file.path)) continue;
    if (const Care care = care_for(file.use, needs); care != Care::none) {
      watch(file, limits.at(file.path), care == Care::live, as_read);
    }
  }
  const auto& outbound = loaded.settings.outbound;
  if (std::ranges::find(outbound, config::system_authorities, &config::OutboundListener::ca_file) != outbound.end()) {
    const auto& [path, file] = as_read.authorities();
    files_.push_back({path, config::FileUse::authorities, 0, false, true, digest_of(file), {}});
  }
  if (files_.empty()) return timer_.stop();
  timer_.start(interval_);
}

// A snapshot that is made for other uses of a file has the live ones as well.
void FileWatch::watch(const config::NamedFile& file, std::size_t limit, bool live, const config::Files& as_read) {
  const auto known = std::ranges::find(files_, file.path, &Watched::path);
  if (known != files_.end()) {
    known->is_live &= live;
  } else {
    files_.push_back({file.path, file.use, limit, live, false, digest_of(as_read.at(file.path)), {}});
  }
}

void FileWatch::tell_again(const std::set<std::string, std::less<>>& paths) {
  for (Watched& watched : files_) {
    if (!paths.contains(watched.path)) continue;
    watched.digest.clear();
    watched.stamp.reset();
  }
}

// `on_change_` may have others watched.
void FileWatch::look() {
  Changes changes;
  bool any = false;
  for (Watched& watched : files_) any |= look_at(watched, changes);
  if (any) on_change_(std::move(changes));
}

// The stamp is taken before the content: what changes in between has another one at the next look.
bool FileWatch::look_at(Watched& watched, Changes& changes) const {
  const Stamp stamp = stamp_of(watched.path);
  if (watched.stamp == stamp) return false;
  watched.stamp = is_settled(stamp) ? std::optional(stamp) : std::nullopt;
  config::Files::Authorities found =
      watched.is_the_systems ? config::read_system_authorities()
                             : config::Files::Authorities{{}, config::read_file(watched.path, watched.limit)};
  std::string digest = digest_of(found.file);
  if (digest == watched.digest) {
    if (found.file) config::wipe(found.file->content);
    return false;
  }
  watched.digest = std::move(digest);
  if (!found.file && !watched.is_live) {
    changes.lost.push_back({watched.path, watched.use, std::move(found.file.error())});
  } else if (watched.is_the_systems) {
    watched.path = found.path;
    changes.others.put_authorities(std::move(found));
  } else {
    (watched.is_live ? changes.live : changes.others).put(watched.path, std::move(found.file));
  }
  return true;
}

FileWatch::Stamp FileWatch::stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {.error = errno};
  return {0, status.st_dev, status.st_ino, status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

// A file system may count in seconds or two: what is written twice within them has the same time.
bool FileWatch::is_settled(const Stamp& stamp) const {
  const std::chrono::nanoseconds now = now_().time_since_epoch();
  return stamp.error != 0 || stamp.changed + 3 * second < now.count();
}

}  // namespace postern::keeper
