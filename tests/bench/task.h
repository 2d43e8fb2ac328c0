// Coroutines for the load generator: many clients in one thread, each written as if it could block. A thread per client
// would make the gateway pay for waking it with every reply, which no client across a network ever does.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>
#include <vector>

namespace postern::bench {

// A step of a client's work, run by awaiting it. Dies with its object.
class [[nodiscard]] Task {
 public:
  struct promise_type {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept { return BackToWaiter{}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    std::coroutine_handle<> waiter = std::noop_coroutine();
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Runs it to its first wait; for a task that nobody awaits.
  void start() { handle_.resume(); }
  bool done() const { return handle_.done(); }

  bool await_ready() const { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) {
    handle_.promise().waiter = waiter;
    return handle_;
  }
  void await_resume() {}

 private:
  struct BackToWaiter {
    bool await_ready() noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> finished) noexcept {
      return finished.promise().waiter;
    }
    void await_resume() noexcept {}
  };

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

// Wakes whoever waits for a socket. One coroutine per socket.
class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Once per socket, which must not block. It leaves by being closed.
  void watch(int fd);

  // Until something new can be read or written. Only after a read or a write has said that it would block.
  auto changed(int fd) {
    struct Wait {
      std::coroutine_handle<>& slot;
      bool await_ready() const { return false; }
      void await_suspend(std::coroutine_handle<> waiter) { slot = waiter; }
      void await_resume() const {}
    };
    return Wait{waiting_.at(static_cast<std::size_t>(fd))};
  }

  // Wakes those whose sockets have changed; ends the program where nothing happens for half a minute.
  void turn();

 private:
  const int epoll_;
  std::vector<std::coroutine_handle<>> waiting_;  // by descriptor
};

}  // namespace postern::bench
