// Something to be done after a while, unless it is called off.
#pragma once

#include <chrono>
#include <functional>

#include "proxy/net/handle.h"

namespace postern::net {

class Timer {
 public:
  // Not running. `on_fire` may start the timer anew, or destroy it.
  Timer(uv_loop_t* loop, std::function<void()> on_fire);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Once, after that time; where it runs already, the time starts anew.
  void start(std::chrono::milliseconds after);
  void stop() { uv_timer_stop(handle_.get()); }

 private:
  std::function<void()> on_fire_;
  HandlePtr<uv_timer_t> handle_;
};

}  // namespace postern::net
