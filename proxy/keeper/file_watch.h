// The files that may change while a snapshot lives: all that a configuration names but certificates and their keys,
// whatever else it takes these for.
// Looked at every so often; what is new is handed on.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/files.h"
#include "config/load.h"
#include "proxy/net/loop.h"
#include "proxy/net/timer.h"

namespace postern::keeper {

class FileWatch {
 public:
  // Those that have changed, and only these.
  struct Changes {
    config::Files live;    // a snapshot takes note of them (runtime::live_files), also that one cannot be read any more
    config::Files others;  // those that another snapshot has to be made for
    struct Lost {
      std::string path;
      config::FileUse use = config::FileUse::none;
      Error why;
    };
    std::vector<Lost> lost;  // of the latter: what cannot be read any more
  };
  using OnChange = std::function<void(Changes changes)>;
  using Clock = std::chrono::system_clock::time_point (*)();
  // `loop` outlives it; nothing happens but in its thread.
  FileWatch(net::Loop& loop, OnChange on_change, std::chrono::milliseconds interval = std::chrono::seconds(1),
            Clock now = std::chrono::system_clock::now);

  // From now on those that these settings name, and those of before no more. `as_read`: what is known already.
  void watch(const config::Loaded& loaded, const config::Files& as_read);
  // What is in these now is told at the next look, whether it is new or not.
  void tell_again(const std::set<std::string, std::less<>>& paths);
  // As it does at every interval. A file is read where something about it is another than before, and where it was
  // changed so lately that its time would not tell another change.
  void look();

 private:
  // What tells that a file is another, or is gone.
  struct Stamp {
    int error = 0;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t modified = 0;  // nanoseconds
    std::int64_t changed = 0;   // of content or of anything else
    bool operator==(const Stamp&) const = default;
  };
  struct Watched {
    std::string path;
    config::FileUse use = config::FileUse::none;  // the first of them
    std::size_t limit = 0;
    bool is_live = false;
    bool is_the_systems = false;  // this machine's own list of CAs, wherever it is
    std::string digest;           // of what was handed on, or is known otherwise
    std::optional<Stamp> stamp;   // of when it was read; nothing: it is to be read
  };
  static Stamp stamp_of(const std::string& path);
  bool is_settled(const Stamp& stamp) const;
  bool look_at(Watched& watched, Changes& changes) const;
  void watch(const config::NamedFile& file, std::size_t limit, bool live, const config::Files& as_read);

  OnChange on_change_;
  std::chrono::milliseconds interval_;
  Clock now_;
  std::vector<Watched> files_;
  net::Timer timer_;
};

}  // namespace postern::keeper
