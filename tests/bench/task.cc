#include "tests/bench/task.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/channel.h"

namespace postern::bench {
namespace {

constexpr std::size_t most_descriptors = 65536;
constexpr int patience = 30'000;  // milliseconds

}  // namespace

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)), waiting_(most_descriptors) {}

Poller::~Poller() {
  close(epoll_);
}

void Poller::watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.fd = fd;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl failed");
  waiting_.at(static_cast<std::size_t>(fd)) = nullptr;
}

void Poller::turn() {
  std::array<epoll_event, 256> events;
  const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), patience);
  if (ready == 0) die("no reply within 30 s");
  for (int n = 0; n < ready; ++n) {
    auto& slot = waiting_[static_cast<std::size_t>(events[static_cast<std::size_t>(n)].data.fd)];
    if (const auto waiter = std::exchange(slot, nullptr)) waiter.resume();
  }
}

}  // namespace postern::bench
