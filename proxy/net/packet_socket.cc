#include "proxy/net/packet_socket.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#include "config/assert.h"

namespace postern::net {

namespace {

// Whatever they are wrapped in, each is ours from here on.
Descriptors take_descriptors(msghdr& message) {
  Descriptors taken;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      taken.emplace_back(fd);
    }
  }
  return taken;
}

// `space` is what `message` will point to.
void put_descriptors(msghdr& message, const Descriptors& descriptors, std::vector<char>& space) {
  const std::size_t size = descriptors.size() * sizeof(int);
  space.assign(CMSG_SPACE(size), 0);
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(size);
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    const int fd = descriptors[i].get();
    std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
  }
}

}  // namespace

PacketSocket::PacketSocket(uv_loop_t* loop, UniqueFd fd, Bounds bounds, Owner& owner)
    : fd_(std::move(fd)),
      owner_(owner),
      bounds_(bounds),
      buffer_(new char[bounds.octets]),
      control_(bounds.descriptors == 0 ? 0 : CMSG_SPACE(bounds.descriptors * sizeof(int))) {
  auto handle = std::make_unique<uv_poll_t>();
  POSTERN_ASSERT(uv_poll_init(loop, handle.get(), fd_.get()) == 0, "a socket of our own cannot be watched");
  handle->data = this;
  poll_.reset(handle.release());
  update();
}

// The watching ends before the descriptor does.
PacketSocket::~PacketSocket() {
  poll_.reset();
}

PacketSocket::Sent PacketSocket::send_now(const Packet& packet) const {
  iovec part{const_cast<char*>(packet.octets.data()), packet.octets.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> space;
  if (!packet.descriptors.empty()) put_descriptors(message, packet.descriptors, space);
  while (true) {
    if (::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return Sent::yes;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == ENOBUFS ? Sent::full : Sent::lost;
  }
}

void PacketSocket::send(std::string octets, Descriptors descriptors) {
  if (ended_) return;
  Packet packet{std::move(octets), std::move(descriptors)};
  // One that is lost is found by reading, or by waiting for room, and told from there.
  if (waiting_.empty() && send_now(packet) == Sent::yes) return;
  waiting_.push_back(std::move(packet));
  update();
}

void PacketSocket::set_reading(bool on) {
  if (reading_ == on) return;
  reading_ = on;
  update();
}

void PacketSocket::update() {
  const int events = ended_ ? 0 : (reading_ ? UV_READABLE : 0) | (waiting_.empty() ? 0 : UV_WRITABLE);
  if (events == 0) {
    uv_poll_stop(poll_.get());
    return;
  }
  uv_poll_start(poll_.get(), events, [](uv_poll_t* handle, int status, int happened) noexcept {
    if (handle->data != nullptr) static_cast<PacketSocket*>(handle->data)->on_event(status, happened);
  });
}

// At most one call to the owner in a turn, as each may be our end: what is left to be read is told again.
void PacketSocket::on_event(int status, int events) {
  if (status != 0) return forgets_reset() ? update() : end(status == UV_EBADF ? std::string() : uv_strerror(status));
  if ((events & UV_WRITABLE) != 0 && !waiting_.empty()) {
    if (!flush()) return end({});
    if (waiting_.empty()) {
      update();
      return owner_.on_drained();
    }
  }
  if ((events & UV_READABLE) != 0 && reading_) read();
}

// Who closes without having read all of ours resets the connection (of which libuv says EBADF), and what it had said
// before is still there: it is read once the error is forgotten, and the end follows.
bool PacketSocket::forgets_reset() const {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNRESET;
}

bool PacketSocket::flush() {
  while (!waiting_.empty()) {
    const Sent sent = send_now(waiting_.front());
    if (sent != Sent::yes) return sent == Sent::full;
    waiting_.pop_front();
  }
  return true;
}

void PacketSocket::read() {
  iovec part{buffer_.get(), bounds_.octets};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control_.empty() ? nullptr : control_.data();
  message.msg_controllen = control_.size();
  const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET)) return;  // the last is told once
  if (size < 0) return end(std::strerror(errno));
  Descriptors descriptors = control_.empty() ? Descriptors() : take_descriptors(message);
  if (size == 0 && descriptors.empty()) return end({});
  // The kernel has dropped what had no room; the padding of the last has room for one more.
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || descriptors.size() > bounds_.descriptors) {
    return end("a message was too large, or brought too many descriptors");
  }
  const std::string_view packet(buffer_.get(), static_cast<std::size_t>(size));
  if (descriptors.empty()) return owner_.on_packet(packet);
  owner_.on_packet_with(packet, std::move(descriptors));
}

void PacketSocket::end(const std::string& why) {
  ended_ = true;
  waiting_.clear();
  update();
  owner_.on_end(why);
}

Result<std::pair<UniqueFd, UniqueFd>> packet_pair() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(Errc::io, std::string("socketpair: ") + std::strerror(errno));
  }
  return std::pair(UniqueFd(pair[0]), UniqueFd(pair[1]));
}

}  // namespace postern::net
