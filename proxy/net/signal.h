// A signal of the process, as an event of a loop.
#pragma once

#include <functional>

#include "proxy/net/handle.h"

namespace postern::net {

class Signal {
 public:
  // From now on `number` does not do what it does by itself; `on_signal` is called in the loop instead.
  Signal(uv_loop_t* loop, int number, std::function<void()> on_signal);
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

 private:
  std::function<void()> on_signal_;
  HandlePtr<uv_signal_t> handle_;
};

}  // namespace postern::net
