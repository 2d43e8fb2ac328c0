#include "proxy/net/signal.h"

#include <utility>

#include "config/assert.h"

namespace postern::net {

Signal::Signal(uv_loop_t* loop, int number, std::function<void()> on_signal) : on_signal_(std::move(on_signal)) {
  auto handle = std::make_unique<uv_signal_t>();
  POSTERN_ASSERT(uv_signal_init(loop, handle.get()) == 0, "a signal handle could not be made");
  handle->data = this;
  handle_.reset(handle.release());
  uv_signal_start(
      handle_.get(),
      [](uv_signal_t* received, int) noexcept {
        const auto* self = static_cast<const Signal*>(received->data);
        if (self != nullptr) self->on_signal_();
      },
      number);
}

}  // namespace postern::net
