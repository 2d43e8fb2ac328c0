// libunbound's pluggable event base on a libuv loop: its sockets and timers become poll and timer handles of the loop,
// so it needs neither a thread nor a process of its own. Used by unbound_resolver.cc alone.
#pragma once

#include <unbound-event.h>
#include <uv.h>

namespace postern::dns {

// Must outlive the ub_ctx built on it, and be destroyed on the loop's thread. Its handles are closed when libunbound
// frees its events, and gone after the next turn of the loop.
class UnboundEvents {
 public:
  explicit UnboundEvents(uv_loop_t* loop);
  UnboundEvents(const UnboundEvents&) = delete;
  UnboundEvents& operator=(const UnboundEvents&) = delete;

  ub_event_base* base() { return &base_.base; }

  // What libunbound gets a pointer to: its own struct first, then the way back.
  struct Base {
    ub_event_base base;
    uv_loop_t* loop;
  };

 private:
  Base base_;
};

}  // namespace postern::dns
