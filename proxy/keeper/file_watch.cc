#include "proxy/keeper/file_watch.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "config/file.h"
#include "proxy/observe/log.h"
#include "proxy/runtime/needs.h"
#include "tls/tlsa.h"

namespace postern::keeper {

namespace {

constexpr std::int64_t second = 1'000'000'000;  // nanoseconds

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * second + time.tv_nsec;
}

// Whoever writes a file often writes more of it, or its neighbour, at once; and somebody may write all the time.
constexpr std::chrono::milliseconds quiet(250);
constexpr std::chrono::milliseconds patience(2000);
// Where the kernel does not tell all changes.
constexpr std::chrono::milliseconds blind_interval(1000);

enum class Care : std::uint8_t { none, live, other };

Care care_for(config::FileUse use, const runtime::Needs& needs) {
  using config::FileUse;
  switch (use) {
    case FileUse::none: return Care::none;
    case FileUse::ticket_keys:
    case FileUse::secret: return Care::live;
    case FileUse::certificate_chain:
    case FileUse::private_key:
    case FileUse::client_authorities:
    case FileUse::authorities: return Care::other;
    case FileUse::trust_anchor: return needs.trust_anchor ? Care::other : Care::none;
  }
  return Care::none;
}

bool is_of_pair(config::FileUse use) {
  return use == config::FileUse::certificate_chain || use == config::FileUse::private_key;
}

}  // namespace

std::string digest_of(const Result<config::File>& read) {
  return read ? tls::sha256(read->content) : "no content: " + read.error().message;
}

Digests digests_of(const config::Files& files) {
  Digests digests;
  for (const auto& [path, file] : files.by_path()) digests[path] = digest_of(file);
  if (!files.authorities().path.empty()) {
    digests[std::string(config::system_authorities)] = digest_of(files.authorities().file);
  }
  return digests;
}

FileWatch::FileWatch(net::Loop& loop, OnChange on_change, std::chrono::milliseconds interval, Clock now)
    : loop_(loop),
      on_change_(std::move(on_change)),
      interval_(interval),
      now_(now),
      paths_(loop.raw(), [this] { on_event(); }),
      timer_(loop.raw(), [this] { look(); }) {}

void FileWatch::watch(const config::Loaded& loaded, const config::Files& as_read, const Digests& digests) {
  files_.clear();
  const runtime::Needs needs = runtime::needs(loaded.settings);
  const std::vector<config::NamedFile> named = config::files_of(loaded);
  const auto limits = config::limits_of(named);
  const auto known = [&digests](std::string_view name, const Result<config::File>& read) {
    const auto found = digests.find(name);
    return found != digests.end() ? found->second : digest_of(read);
  };
  for (const config::NamedFile& file : named) {
    const Care care = care_for(file.use, needs);
    if (care == Care::none) continue;
    watch(file, limits.at(file.path), care == Care::live, known(file.path, as_read.at(file.path)));
  }
  const auto& outbound = loaded.settings.outbound;
  if (std::ranges::find(outbound, config::system_authorities, &config::OutboundListener::ca_file) != outbound.end()) {
    const auto& [path, file] = as_read.authorities();
    files_.push_back(
        {path, config::FileUse::authorities, 0, false, true, false, known(config::system_authorities, file), {}});
  }
  arm();
  if (files_.empty()) return timer_.stop();
  look_soon();  // what has changed before anybody watched
}

// A snapshot that is made for other uses of a file has the live ones as well.
void FileWatch::watch(const config::NamedFile& file, std::size_t limit, bool live, std::string digest) {
  const auto known = std::ranges::find(files_, file.path, &Watched::path);
  if (known != files_.end()) {
    known->is_live &= live;
  } else {
    files_.push_back({file.path, file.use, limit, live, false, false, std::move(digest), {}});
  }
}

void FileWatch::tell_again(const std::set<std::string, std::less<>>& paths) {
  for (Watched& watched : files_) {
    const std::string_view name = watched.is_the_systems ? config::system_authorities : watched.path;
    if (!paths.contains(name)) continue;
    watched.again = true;
    watched.stamp.reset();
  }
  if (!files_.empty() && !paths.empty()) look_soon();
}

// After a while of quiet, but not for ever.
void FileWatch::on_event() {
  if (!told_) told_ = loop_.now();
  const std::chrono::milliseconds since(loop_.now() - *told_);
  timer_.start(std::min(std::clamp(patience - since, std::chrono::milliseconds(0), quiet), interval()));
}

void FileWatch::look_soon() {
  timer_.start(std::min(quiet, interval()));
}

std::chrono::milliseconds FileWatch::interval() const {
  return blind_.empty() ? interval_ : std::min(interval_, blind_interval);
}

void FileWatch::arm() {
  std::vector<std::string> paths;
  for (const Watched& watched : files_) paths.push_back(watched.path);
  const auto error = paths_.watch(paths);
  const std::string why = error ? error->message : "";
  if (why == std::exchange(blind_, why) || why.empty()) return;
  log::warning("the system does not tell when files change",
               {{"reason", why}, {"effect", "they are looked at every second"}});
}

// `on_change_` may have others watched.
void FileWatch::look() {
  told_.reset();
  if (files_.empty()) return;
  arm();
  timer_.start(interval());
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
  const bool is_new = digest != watched.digest;
  if (!std::exchange(watched.again, false) && !is_new) {
    if (found.file) config::wipe(found.file->content);
    return false;
  }
  watched.digest = std::move(digest);
  if (!found.file && !watched.is_live && !is_of_pair(watched.use)) {
    changes.lost.push_back({watched.path, watched.use, std::move(found.file.error()), is_new});
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
