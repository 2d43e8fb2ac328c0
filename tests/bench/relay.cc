#include "tests/bench/relay.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "tests/bench/channel.h"

namespace postern::bench {
namespace {

class Relay {
 public:
  Relay(int port, int backend) : listener_(listen_on(port)), backend_(backend), scratch_(64 * 1024), other_(65536, -1) {
    watch(listener_);
  }
  [[noreturn]] void serve();

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl failed");
  }
  void accept_all();
  void pass_on(int fd);
  void close_both(int fd);

  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  const int listener_;
  const int backend_;
  std::vector<char> scratch_;
  std::vector<int> other_;  // by descriptor: the other side; -1: closed
};

void Relay::serve() {
  std::array<epoll_event, 256> events;
  for (;;) {
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int n = 0; n < ready; ++n) {
      const int fd = events[static_cast<std::size_t>(n)].data.fd;
      if (fd == listener_)
        accept_all();
      else if (other_[static_cast<std::size_t>(fd)] >= 0)
        pass_on(fd);
    }
  }
}

void Relay::accept_all() {
  for (;;) {
    // Reads do not block: MSG_DONTWAIT. Writes may, which is all the back-pressure that a yardstick needs.
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = connect_to(backend_);
    other_.at(static_cast<std::size_t>(client)) = server;
    other_.at(static_cast<std::size_t>(server)) = client;
    watch(client);
    watch(server);
  }
}

void Relay::pass_on(int fd) {
  const ssize_t got = recv(fd, scratch_.data(), scratch_.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return close_both(fd);
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t more = send(other_[static_cast<std::size_t>(fd)], scratch_.data() + sent,
                              static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
    if (more < 0) return close_both(fd);
    sent += more;
  }
}

void Relay::close_both(int fd) {
  const int other = other_[static_cast<std::size_t>(fd)];
  other_[static_cast<std::size_t>(fd)] = other_[static_cast<std::size_t>(other)] = -1;
  close(fd);
  close(other);
}

}  // namespace

void run_relay(int port, int backend) {
  Relay(port, backend).serve();
}

}  // namespace postern::bench
