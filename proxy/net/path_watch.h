// Tells that something behind a path may be another than it was: by inotify, on every directory that leads to it, those
// of symbolic links included, and on the file itself. Not told is what makes no event: what happens on another machine
// of a network's file system, a mount, what is written through a mapping.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/net/handle.h"

namespace postern::net {

class PathWatch {
 public:
  // `on_event`: once for all that has happened; it may call watch().
  PathWatch(uv_loop_t* loop, std::function<void()> on_event);
  ~PathWatch();
  PathWatch(const PathWatch&) = delete;
  PathWatch& operator=(const PathWatch&) = delete;

  // From now on these, and those of before no more. To be called again after each event, as the way to a file may be
  // another one then, and before looking at what there is. An error: not all of them are watched.
  std::optional<Error> watch(const std::vector<std::string>& paths);

 private:
  // Names that matter in a directory; of a file, everything does.
  using Names = std::set<std::string, std::less<>>;

  std::optional<Error> begin();
  void follow(const std::string& path);
  void add(const std::string& directory, const std::string& name);
  void read();
  bool matters(int descriptor, unsigned what, const char* name);

  uv_loop_t* loop_;
  std::function<void()> on_event_;
  UniqueFd inotify_;
  std::map<int, Names> watched_;                         // by inotify's number
  std::map<int, Names> next_;                            // during watch()
  std::map<std::string, int, std::less<>> directories_;  // likewise
  std::optional<Error> error_;                           // likewise
  HandlePtr<uv_poll_t> poll_;
};

}  // namespace postern::net
