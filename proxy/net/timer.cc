#include "proxy/net/timer.h"

#include <utility>

#include "config/assert.h"

namespace postern::net {

Timer::Timer(uv_loop_t* loop, std::function<void()> on_fire) : on_fire_(std::move(on_fire)) {
  auto handle = std::make_unique<uv_timer_t>();
  POSTERN_ASSERT(uv_timer_init(loop, handle.get()) == 0, "a timer could not be made");
  handle->data = this;
  handle_.reset(handle.release());
}

void Timer::start(std::chrono::milliseconds after) {
  uv_timer_start(
      handle_.get(),
      [](uv_timer_t* fired) noexcept {
        const auto* self = static_cast<const Timer*>(fired->data);
        if (self == nullptr) return;
        const auto on_fire = self->on_fire_;  // a copy: it may destroy the timer
        on_fire();
      },
      static_cast<std::uint64_t>(after.count()), 0);
}

}  // namespace postern::net
