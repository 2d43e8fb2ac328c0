#include "proxy/net/packet_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <span>

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

struct Read {
  ssize_t size = 0;  // -1: errno says why
  Descriptors descriptors;
  bool too_much = false;  // the kernel has dropped what had no room
};

// `control` has room for as many descriptors as there may be, or is empty.
Read read_packet(const UniqueFd& socket, std::span<char> buffer, std::vector<char>& control) {
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.empty() ? nullptr : control.data();
  message.msg_controllen = control.size();
  Read read;
  read.size = ::recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (read.size < 0) return read;
  if (!control.empty()) read.descriptors = take_descriptors(message);
  read.too_much = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  return read;
}

constexpr const char* too_much = "a message was too large, or brought too many descriptors";

std::vector<char> room_for(std::size_t descriptors) {
  return std::vector<char>(descriptors == 0 ? 0 : CMSG_SPACE(descriptors * sizeof(int)));
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
      control_(room_for(bounds.descriptors)) {
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
  Read got = read_packet(fd_, {buffer_.get(), bounds_.octets}, control_);
  if (got.size < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET)) return;  // the last is told once
  if (got.size < 0) return end(std::strerror(errno));
  if (got.size == 0 && got.descriptors.empty()) return end({});
  // The padding of the last descriptor has room for one more.
  if (got.too_much || got.descriptors.size() > bounds_.descriptors) return end(too_much);
  const std::string_view packet(buffer_.get(), static_cast<std::size_t>(got.size));
  if (got.descriptors.empty()) return owner_.on_packet(packet);
  owner_.on_packet_with(packet, std::move(got.descriptors));
}

void PacketSocket::end(const std::string& why) {
  ended_ = true;
  waiting_.clear();
  update();
  owner_.on_end(why);
}

Result<ReceivedPacket> receive_packet(const UniqueFd& socket, const PacketSocket::Bounds& bounds,
                                      std::chrono::milliseconds patience) {
  pollfd readable{socket.get(), POLLIN, 0};
  if (::poll(&readable, 1, static_cast<int>(patience.count())) <= 0) return fail(Errc::timeout, "nothing comes");
  ReceivedPacket packet{std::string(bounds.octets, '\0'), {}};
  std::vector<char> control = room_for(bounds.descriptors);
  Read got = read_packet(socket, packet.octets, control);
  if (got.size < 0) return fail(Errc::io, std::strerror(errno));
  if (got.size == 0 && got.descriptors.empty()) return fail(Errc::closed, "it has gone");
  if (got.too_much || got.descriptors.size() > bounds.descriptors) return fail(Errc::protocol, too_much);
  packet.octets.resize(static_cast<std::size_t>(got.size));
  packet.descriptors = std::move(got.descriptors);
  return packet;
}

Result<std::pair<UniqueFd, UniqueFd>> packet_pair() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(Errc::io, std::string("socketpair: ") + std::strerror(errno));
  }
  return std::pair(UniqueFd(pair[0]), UniqueFd(pair[1]));
}

}  // namespace postern::net
