// The files whose content may change while a snapshot lives: looked at every so often by one thread, and what is new
// handed on. Nobody else opens a file while we run.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "proxy/net/loop.h"
#include "proxy/net/timer.h"
#include "proxy/runtime/runtime.h"

namespace postern::gateway {

class FileWatch {
 public:
  // `loop` outlives it; nothing happens but in its thread.
  explicit FileWatch(net::Loop& loop, std::chrono::milliseconds interval = std::chrono::seconds(1));

  // From now on these, and those of before no more.
  void watch(std::vector<runtime::LiveFile> files);
  // As it does at every interval: small files, of which there are few, are read rather than judged by their time. What
  // was there once and may not be read any more, by who we are now, stays as it was. The log says what was read again,
  // and once what cannot be used.
  void look();

 private:
  struct Watched {
    runtime::LiveFile file;
    std::string trouble;  // what was said last; empty: nothing is wrong
  };
  static void look_at(Watched& watched);

  std::chrono::milliseconds interval_;
  std::vector<Watched> files_;
  net::Timer timer_;
};

}  // namespace postern::gateway
