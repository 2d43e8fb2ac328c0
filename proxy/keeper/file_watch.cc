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

bool is_watched(config::FileUse use, const runtime::Needs& needs) {
  using config::FileUse;
  switch (use) {
    case FileUse::none:
    case FileUse::certificate_chain:
    case FileUse::private_key: return false;
    case FileUse::client_authorities:
    case FileUse::authorities:
    case FileUse::ticket_keys:
    case FileUse::secret: return true;
    case FileUse::trust_anchor: return needs.trust_anchor;
  }
  return false;
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
  for (const config::NamedFile& file : named) {
    const bool known = std::ranges::find(files_, file.path, &Watched::path) != files_.end();
    if (known || !is_watched(file.use, needs)) continue;
    files_.push_back({file.path, limits.at(file.path), false, digest_of(as_read.at(file.path)), {}});
  }
  const auto& outbound = loaded.settings.outbound;
  if (std::ranges::find(outbound, config::system_authorities, &config::OutboundListener::ca_file) != outbound.end()) {
    const auto& [path, file] = as_read.authorities();
    files_.push_back({path, 0, true, digest_of(file), {}});
  }
  if (files_.empty()) return timer_.stop();
  timer_.start(interval_);
}

// `on_change_` may have others watched.
void FileWatch::look() {
  config::Files changed;
  bool any = false;
  for (Watched& watched : files_) any |= look_at(watched, changed);
  if (any) on_change_(std::move(changed));
}

// The stamp is taken before the content: what changes in between has another one at the next look.
bool FileWatch::look_at(Watched& watched, config::Files& changed) const {
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
  if (watched.is_the_systems) {
    watched.path = found.path;
    changed.put_authorities(std::move(found));
  } else {
    changed.put(watched.path, std::move(found.file));
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
