#include "proxy/dns/unbound_events.h"

#include <sys/time.h>

#include <memory>

#include "proxy/net/handle.h"

namespace postern::dns {

namespace {

using EventCallback = void (*)(int, short, void*);

std::uint64_t milliseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1000 + static_cast<std::uint64_t>(time.tv_usec + 999) / 1000;
}

// One ub_event: a file descriptor, a timeout, or both, as libevent has it.
class Event {
 public:
  Event(uv_loop_t* loop, int fd, short bits, EventCallback callback, void* argument);

  // libunbound knows an event by its first member.
  static Event& from(ub_event* event) { return *reinterpret_cast<Event*>(event); }
  ub_event* handle() { return &event_; }

  void add_bits(short bits) { bits_ = static_cast<short>(bits_ | bits); }
  void remove_bits(short bits) { bits_ = static_cast<short>(bits_ & ~bits); }
  void set_fd(int fd) { fd_ = fd; }
  void set_callback(EventCallback callback, void* argument) {
    callback_ = callback;
    argument_ = argument;
  }
  bool activate(const timeval* timeout);
  void deactivate();

 private:
  static void on_poll(uv_poll_t* handle, int status, int events) noexcept;
  static void on_timer(uv_timer_t* handle) noexcept;
  bool start_poll();
  bool start_timer(std::uint64_t delay);

  ub_event event_;  // first: see from()
  uv_loop_t* loop_;
  int fd_;
  short bits_;
  EventCallback callback_;
  void* argument_;
  std::uint64_t timeout_ = 0;
  net::HandlePtr<uv_poll_t> poll_;
  net::HandlePtr<uv_timer_t> timer_;
};

// --- what libunbound calls

void add_bits(ub_event* event, short bits) {
  Event::from(event).add_bits(bits);
}
void del_bits(ub_event* event, short bits) {
  Event::from(event).remove_bits(bits);
}
void set_fd(ub_event* event, int fd) {
  Event::from(event).set_fd(fd);
}
void free_event(ub_event* event) {
  delete &Event::from(event);
}
int add(ub_event* event, timeval* timeout) {
  return Event::from(event).activate(timeout) ? 0 : -1;
}
int del(ub_event* event) {
  Event::from(event).deactivate();
  return 0;
}
int add_timer(ub_event* event, ub_event_base*, EventCallback callback, void* argument, timeval* timeout) {
  Event::from(event).set_callback(callback, argument);
  return Event::from(event).activate(timeout) ? 0 : -1;
}
int no_signals(ub_event*, timeval*) {
  return -1;
}
int no_signal(ub_event*) {
  return -1;
}
void nothing(ub_event*) {}
void nothing_either(ub_event*, int) {}

ub_event_vmt event_table = {add_bits,  del_bits, set_fd,     free_event, add,     del,
                            add_timer, del,      no_signals, no_signal,  nothing, nothing_either};

ub_event* new_event(ub_event_base* base, int fd, short bits, EventCallback callback, void* argument) {
  uv_loop_t* loop = reinterpret_cast<UnboundEvents::Base*>(base)->loop;
  return (new Event(loop, fd, bits, callback, argument))->handle();
}
void not_ours_to_free(ub_event_base*) {}
int not_ours_to_run(ub_event_base*) {
  return -1;
}
int not_ours_to_leave(ub_event_base*, timeval*) {
  return 0;
}
ub_event* no_signal_event(ub_event_base*, int, EventCallback, void*) {
  return nullptr;
}
ub_event* no_windows(ub_event_base*, void*, EventCallback, void*) {
  return nullptr;
}

ub_event_base_vmt base_table = {not_ours_to_free, not_ours_to_run, not_ours_to_leave,
                                new_event,        no_signal_event, no_windows};

Event::Event(uv_loop_t* loop, int fd, short bits, EventCallback callback, void* argument)
    : event_{UB_EVENT_MAGIC, &event_table},
      loop_(loop),
      fd_(fd),
      bits_(bits),
      callback_(callback),
      argument_(argument) {}

bool Event::activate(const timeval* timeout) {
  deactivate();
  if ((bits_ & (UB_EV_READ | UB_EV_WRITE)) != 0 && !start_poll()) return false;
  return timeout == nullptr || start_timer(milliseconds(*timeout));
}

// The watcher must let go of the descriptor at once, as libunbound closes it next: closing the handle does that.
void Event::deactivate() {
  poll_.reset();
  timer_.reset();
}

bool Event::start_poll() {
  auto handle = std::make_unique<uv_poll_t>();
  if (uv_poll_init(loop_, handle.get(), fd_) != 0) return false;
  poll_.reset(handle.release());
  poll_->data = this;
  const int events = ((bits_ & UB_EV_READ) != 0 ? UV_READABLE : 0) | ((bits_ & UB_EV_WRITE) != 0 ? UV_WRITABLE : 0);
  return uv_poll_start(poll_.get(), events, on_poll) == 0;
}

bool Event::start_timer(std::uint64_t delay) {
  auto handle = std::make_unique<uv_timer_t>();
  if (uv_timer_init(loop_, handle.get()) != 0) return false;
  timer_.reset(handle.release());
  timer_->data = this;
  timeout_ = delay;
  return uv_timer_start(timer_.get(), on_timer, delay, 0) == 0;
}

void Event::on_poll(uv_poll_t* handle, int status, int events) noexcept {
  auto* self = static_cast<Event*>(handle->data);
  if (self == nullptr) return;
  const short wanted = static_cast<short>(self->bits_ & (UB_EV_READ | UB_EV_WRITE));
  // After an error the descriptor counts as ready: libunbound's own read or write then meets the error.
  short fired = wanted;
  if (status == 0) {
    fired = static_cast<short>(((events & UV_READABLE) != 0 ? UB_EV_READ : 0) |
                               ((events & UV_WRITABLE) != 0 ? UB_EV_WRITE : 0));
  }
  if ((self->bits_ & UB_EV_PERSIST) == 0) {
    self->deactivate();
  } else if (self->timer_) {
    uv_timer_start(self->timer_.get(), on_timer, self->timeout_, 0);  // libevent: a timeout counts from the last event
  }
  self->callback_(self->fd_, fired, self->argument_);  // may free the event: nothing after it
}

void Event::on_timer(uv_timer_t* handle) noexcept {
  auto* self = static_cast<Event*>(handle->data);
  if (self == nullptr) return;
  self->deactivate();
  self->callback_(self->fd_, UB_EV_TIMEOUT, self->argument_);
}

}  // namespace

UnboundEvents::UnboundEvents(uv_loop_t* loop) : base_{{UB_EVENT_MAGIC, &base_table}, loop} {}

}  // namespace postern::dns
