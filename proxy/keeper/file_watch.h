// The files that may change while a snapshot lives: all that a configuration names but certificates and their keys.
// Looked at every so often; what is new is handed on.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/files.h"
#include "config/load.h"
#include "proxy/net/loop.h"
#include "proxy/net/timer.h"

namespace postern::keeper {

class FileWatch {
 public:
  // Those that have changed, and only these; or why one cannot be read any more.
  using OnChange = std::function<void(config::Files changed)>;
  using Clock = std::chrono::system_clock::time_point (*)();
  // `loop` outlives it; nothing happens but in its thread.
  FileWatch(net::Loop& loop, OnChange on_change, std::chrono::milliseconds interval = std::chrono::seconds(1),
            Clock now = std::chrono::system_clock::now);

  // From now on those that these settings name, and those of before no more. `as_read`: what is known already.
  void watch(const config::Loaded& loaded, const config::Files& as_read);
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
    std::size_t limit = 0;
    bool is_the_systems = false;  // this machine's own list of CAs, wherever it is
    std::string digest;           // of what was handed on, or is known otherwise
    std::optional<Stamp> stamp;   // of when it was read; nothing: it is to be read
  };
  static Stamp stamp_of(const std::string& path);
  bool is_settled(const Stamp& stamp) const;
  bool look_at(Watched& watched, config::Files& changed) const;

  OnChange on_change_;
  std::chrono::milliseconds interval_;
  Clock now_;
  std::vector<Watched> files_;
  net::Timer timer_;
};

}  // namespace postern::keeper
