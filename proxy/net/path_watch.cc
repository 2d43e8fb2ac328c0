#include "proxy/net/path_watch.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <deque>
#include <utility>

namespace postern::net {

namespace {

constexpr int most_links = 40;  // as the kernel

// What makes another file of a name. Events of files with other names come along, and are passed over.
constexpr unsigned in_directory =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// What was written by another path (a hard link, a mount of its own) is told to the file alone.
constexpr unsigned of_file = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

void push_front(std::deque<std::string>& parts, const std::string& path) {
  std::deque<std::string> all;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (end > at && path.compare(at, end - at, ".") != 0) all.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  parts.insert(parts.begin(), all.begin(), all.end());
}

std::string working_directory() {
  char path[PATH_MAX];
  return ::getcwd(path, sizeof path) != nullptr ? path : "/";
}

std::string target_of(const std::string& link) {
  char target[PATH_MAX];
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : std::string();
}

}  // namespace

// At once, so that a process has as many descriptors before as after; where that fails, it is tried again with watch().
PathWatch::PathWatch(uv_loop_t* loop, std::function<void()> on_event) : loop_(loop), on_event_(std::move(on_event)) {
  (void)begin();
}

// The watching ends before the descriptor does.
PathWatch::~PathWatch() {
  poll_.reset();
}

std::optional<Error> PathWatch::watch(const std::vector<std::string>& paths) {
  if (auto error = begin()) return error;
  for (const std::string& path : paths) {
    if (!path.empty()) follow(path);
  }
  for (const auto& [descriptor, names] : watched_) {
    if (!next_.contains(descriptor)) ::inotify_rm_watch(inotify_.get(), descriptor);
  }
  watched_ = std::exchange(next_, {});
  directories_.clear();
  return std::exchange(error_, std::nullopt);
}

std::optional<Error> PathWatch::begin() {
  if (inotify_.get() >= 0) return std::nullopt;
  UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (inotify.get() < 0) return Error{Errc::io, std::string("inotify: ") + std::strerror(errno)};
  auto handle = std::make_unique<uv_poll_t>();
  if (const int error = uv_poll_init(loop_, handle.get(), inotify.get()); error != 0) {
    return Error{Errc::io, std::string("inotify: ") + uv_strerror(error)};
  }
  handle->data = this;
  poll_.reset(handle.release());
  inotify_ = std::move(inotify);
  uv_poll_start(poll_.get(), UV_READABLE, [](uv_poll_t* watched, int, int) noexcept {
    if (watched->data != nullptr) static_cast<PathWatch*>(watched->data)->read();
  });
  return std::nullopt;
}

// As the kernel goes, but that each directory is watched before it is looked into. As far as there is something: what
// is missing is told when it is made.
void PathWatch::follow(const std::string& path) {
  std::deque<std::string> rest;
  push_front(rest, path);
  if (!path.starts_with('/')) push_front(rest, working_directory());
  std::string at;  // without links; "" is the root
  for (int links = 0; !rest.empty();) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name == "..") {
      at.resize(at.empty() ? 0 : at.rfind('/'));
      continue;
    }
    add(at, name);
    std::string child = at + "/" + name;
    struct stat status {};
    if (::lstat(child.c_str(), &status) != 0) return;
    if (!S_ISLNK(status.st_mode)) {
      at = std::move(child);
      continue;
    }
    const std::string target = target_of(child);
    if (target.empty() || ++links > most_links) return;
    if (target.starts_with('/')) at.clear();
    push_front(rest, target);
  }
  const int descriptor = ::inotify_add_watch(inotify_.get(), at.c_str(), of_file | IN_MASK_ADD);
  if (descriptor >= 0) {
    next_[descriptor];
  } else if (errno == ENOSPC || errno == ENOMEM) {  // what may not be read is told when it may, by its directory
    error_ = Error{Errc::io, at + ": " + std::strerror(errno)};
  }
}

// One that has gone meanwhile is told by the one above.
void PathWatch::add(const std::string& directory, const std::string& name) {
  auto known = directories_.find(directory);
  if (known == directories_.end()) {
    const std::string path = directory.empty() ? "/" : directory;
    const int descriptor = ::inotify_add_watch(inotify_.get(), path.c_str(), in_directory);
    if (descriptor < 0 && errno != ENOENT && errno != ENOTDIR) {
      error_ = Error{Errc::io, path + ": " + std::strerror(errno)};
    }
    known = directories_.emplace(directory, descriptor).first;
  }
  if (known->second >= 0) next_[known->second].insert(name);
}

// What is left is told in the next turn.
void PathWatch::read() {
  alignas(inotify_event) char buffer[16 * 1024];
  const ssize_t size = ::read(inotify_.get(), buffer, sizeof buffer);
  bool any = false;
  for (ssize_t at = 0; at < size;) {
    inotify_event event{};
    std::memcpy(&event, buffer + at, sizeof event);
    any |= matters(event.wd, event.mask, event.len > 0 ? buffer + at + sizeof event : "");
    at += static_cast<ssize_t>(sizeof event + event.len);
  }
  if (any) on_event_();
}

// What was watched before, and no more, may still have a word to say.
bool PathWatch::matters(int descriptor, unsigned what, const char* name) {
  if ((what & IN_Q_OVERFLOW) != 0) return true;
  const auto found = watched_.find(descriptor);
  if (found == watched_.end()) return false;
  const bool matters = *name == '\0' || found->second.empty() || found->second.contains(name);
  if ((what & IN_IGNORED) != 0) watched_.erase(found);
  return matters;
}

}  // namespace postern::net
