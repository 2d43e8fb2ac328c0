#include "proxy/net/loop.h"

#include "config/assert.h"

namespace postern::net {

Loop::Loop() {
  POSTERN_ASSERT(uv_loop_init(&loop_) == 0, "an event loop could not be made");
  auto wakeup = std::make_unique<uv_async_t>();
  POSTERN_ASSERT(uv_async_init(&loop_, wakeup.get(),
                               [](uv_async_t* handle) noexcept {
                                 if (handle->data != nullptr) static_cast<Loop*>(handle->data)->run_posted();
                               }) == 0,
                 "an event loop's wake-up could not be made");
  wakeup->data = this;
  wakeup_.reset(wakeup.release());

  auto check = std::make_unique<uv_check_t>();
  POSTERN_ASSERT(uv_check_init(&loop_, check.get()) == 0, "a check handle could not be made");
  check->data = this;
  uv_check_start(check.get(), [](uv_check_t* handle) noexcept {
    auto* self = static_cast<Loop*>(handle->data);
    if (self != nullptr && self->end_of_turn_) self->end_of_turn_();
  });
  check_.reset(check.release());
}

Loop::~Loop() {
  end_of_turn_ = nullptr;
  check_.reset();
  wakeup_.reset();
  uv_run(&loop_, UV_RUN_DEFAULT);  // close callbacks
  POSTERN_ASSERT(uv_loop_close(&loop_) == 0, "a handle was left open in an event loop");
}

void Loop::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void Loop::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  uv_async_send(wakeup_.get());
}

void Loop::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

}  // namespace postern::net
