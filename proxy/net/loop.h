// One event loop. Only post() may be called from another thread.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "proxy/net/handle.h"

namespace postern::net {

class Loop {
 public:
  Loop();
  // Runs what is left (close callbacks) and asserts that no handle was forgotten.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  uv_loop_t* raw() { return &loop_; }
  // Milliseconds of a monotonic clock, read once per turn of the loop.
  std::uint64_t now() const { return uv_now(&loop_); }

  // Runs until stop() is called.
  void run();
  void stop() { uv_stop(&loop_); }

  // Runs `task` in this loop, in the order of posting. Thread-safe.
  void post(std::function<void()> task);

  // What has been posted and not been run, once the loop is over.
  void run_posted();

  // Called at the end of every turn, after all of its callbacks: where what ended in the turn is freed.
  void at_end_of_turn(std::function<void()> task) { end_of_turn_ = std::move(task); }

 private:
  uv_loop_t loop_{};
  HandlePtr<uv_async_t> wakeup_;
  HandlePtr<uv_check_t> check_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  std::function<void()> end_of_turn_;
};

}  // namespace postern::net
