// The files that may change while a snapshot lives: all that a configuration names. Looked at when the kernel says that
// something may have changed, and every so often for what it says nothing of; what is new is handed on.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/files.h"
#include "config/load.h"
#include "proxy/net/loop.h"
#include "proxy/net/path_watch.h"
#include "proxy/net/timer.h"

namespace postern::keeper {

// What files held, by path, when they were read: keys and passwords are not kept to be compared. This machine's own
// list of CAs is called config::system_authorities.
using Digests = std::map<std::string, std::string, std::less<>>;
std::string digest_of(const Result<config::File>& read);
Digests digests_of(const config::Files& files);

class FileWatch {
 public:
  // Those that have changed, and only these.
  struct Changes {
    config::Files live;  // a snapshot takes note of them (runtime::live_files), also that one cannot be read any more
    // Those that another snapshot has to be made for; also that there is no chain or key any more.
    config::Files others;
    struct Lost {
      std::string path;
      config::FileUse use = config::FileUse::none;
      Error why;
      bool is_new = true;  // else tell_again() has it told
    };
    std::vector<Lost> lost;  // of the latter, but chains and keys: what cannot be read any more
  };
  using OnChange = std::function<void(Changes changes)>;
  using Clock = std::chrono::system_clock::time_point (*)();
  // `interval`: of looking without having been told to. `loop` outlives it; nothing happens but in its thread.
  FileWatch(net::Loop& loop, OnChange on_change, std::chrono::milliseconds interval = std::chrono::seconds(60),
            Clock now = std::chrono::system_clock::now);

  // From now on those that these settings name, and those of before no more. `as_read`: what is known already;
  // `digests`, where they are known, too: of what is not there as it was read, and of what need not be read through.
  void watch(const config::Loaded& loaded, const config::Files& as_read, const Digests& digests = {});
  // What is in these now is told at the next look, which is soon, whether it is new or not.
  void tell_again(const std::set<std::string, std::less<>>& paths);
  // As it does by itself. A file is read where something about it is another than before, and where it was changed so
  // lately that its time would not tell another change.
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
    bool again = false;           // to be told at the next look, new or not
    std::string digest;           // of what was handed on, or is known otherwise
    std::optional<Stamp> stamp;   // of when it was read; nothing: it is to be read
  };
  void on_event();
  void arm();
  void look_soon();
  std::chrono::milliseconds interval() const;
  static Stamp stamp_of(const std::string& path);
  bool is_settled(const Stamp& stamp) const;
  bool look_at(Watched& watched, Changes& changes) const;
  void watch(const config::NamedFile& file, std::size_t limit, bool live, std::string digest);

  net::Loop& loop_;
  OnChange on_change_;
  std::chrono::milliseconds interval_;
  Clock now_;
  std::vector<Watched> files_;
  std::optional<std::uint64_t> told_;  // loop time since when it is known that something may have changed
  std::string blind_;                  // why not all changes are told by the kernel; empty: they are
  net::PathWatch paths_;
  net::Timer timer_;
};

}  // namespace postern::keeper
