// Every child of this process is reaped once it has ended, whoever started it: what PID 1 owes the others.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>

#include "proxy/net/loop.h"
#include "proxy/net/signal.h"
#include "proxy/net/timer.h"

namespace postern::net {

// One in a process, whose descendants that lose their parent become its children (PR_SET_CHILD_SUBREAPER). Strangers
// are reaped without a word; those that libuv started (uv_spawn on this loop) are left to it.
class Reaper {
 public:
  // `status` as of waitpid(2). May start and watch others.
  using OnEnd = std::function<void(int status)>;

  // `loop` outlives it; nothing happens but in its thread.
  explicit Reaper(Loop& loop);
  ~Reaper();
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // `child` was started in this turn of the loop, by fork(2).
  void watch(pid_t child, OnEnd on_end);
  // Nobody wants to hear of it any more.
  void forget(pid_t child);

  // As it does whenever a child ends.
  void look();

 private:
  bool reap_all();
  void reap(pid_t child);

  Loop& loop_;
  std::map<pid_t, OnEnd> watched_;
  Signal signal_;
  Timer again_;
  std::chrono::milliseconds pause_{0};  // before it is looked again whether libuv has reaped its own
};

}  // namespace postern::net
