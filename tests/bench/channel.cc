#include "tests/bench/channel.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace postern::bench {
namespace {

constexpr std::size_t batch = 64 * 1024;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

void die(const std::string& sentence) {
  std::fprintf(stderr, "postern_bench_load: %s\n", sentence.c_str());
  std::fflush(stderr);
  _exit(1);
}

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    die("cannot connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  return fd;
}

int listen_on(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // inherited by accepted sockets
  const sockaddr_in address = loopback(port);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(fd, 4096) != 0)
    die("cannot listen on port " + std::to_string(port) + ": " + std::strerror(errno));
  return fd;
}

void make_non_blocking(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void demand_common_protocol(const SSL* ssl) {
  if (SSL_version(ssl) != TLS1_3_VERSION || SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)) != 0x1301)
    die("the gateway did not choose TLS 1.3 with AES-128-GCM: the figures would not compare");
}

Channel::~Channel() {
  close(fd_);
}

void Channel::start_tls(SSL* ssl) {
  ssl_.reset(ssl);
  BIO* bio = BIO_new(bio_method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
}

Channel::Progress Channel::handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  const Progress sent = flush();
  if (done == 1) return sent;
  const bool waits = SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ;
  return waits && sent != Progress::broken ? Progress::would_block : Progress::broken;
}

std::ptrdiff_t Channel::read(std::span<char> into) {
  if (flush() == Progress::broken) return 0;
  if (!ssl_) return receive(into);
  ERR_clear_error();
  const int got = SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
  if (got > 0) return got;
  return SSL_get_error(ssl_.get(), got) == SSL_ERROR_WANT_READ ? -1 : 0;
}

void Channel::write(std::string_view octets) {
  if (!ssl_) {
    out_ += octets;
    return;
  }
  while (!octets.empty()) {
    const int wrote = SSL_write(ssl_.get(), octets.data(), static_cast<int>(octets.size()));
    if (wrote <= 0) return;  // the next read or flush finds the connection broken
    octets.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

Channel::Progress Channel::flush() {
  while (sent_ < out_.size()) {
    const ssize_t more = send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (more < 0) return errno == EAGAIN ? Progress::would_block : Progress::broken;
    sent_ += static_cast<std::size_t>(more);
  }
  out_.clear();
  sent_ = 0;
  return Progress::done;
}

void Channel::release_buffers() {
  if (unread_.empty()) in_.reset();
  if (out_.empty()) std::string().swap(out_);
}

std::ptrdiff_t Channel::receive(std::span<char> into) {
  const ssize_t got = recv(fd_, into.data(), into.size(), 0);
  if (got >= 0) return got;
  return errno == EAGAIN ? -1 : 0;
}

int Channel::bio_read(BIO* bio, char* into, int size) {
  auto* self = static_cast<Channel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self->unread_.empty()) {
    if (!self->in_) self->in_ = std::make_unique_for_overwrite<char[]>(batch);
    const std::ptrdiff_t got = self->receive({self->in_.get(), batch});
    if (got < 0) BIO_set_retry_read(bio);
    if (got <= 0) return static_cast<int>(got);
    self->unread_ = {self->in_.get(), static_cast<std::size_t>(got)};
  }
  const std::size_t take = std::min(static_cast<std::size_t>(size), self->unread_.size());
  std::memcpy(into, self->unread_.data(), take);
  self->unread_.remove_prefix(take);
  return static_cast<int>(take);
}

int Channel::bio_write(BIO* bio, const char* octets, int size) {
  auto* self = static_cast<Channel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  self->out_.append(octets, static_cast<std::size_t>(size));
  return size;
}

long Channel::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* Channel::bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(0, "bench channel");
    BIO_meth_set_read(made, &Channel::bio_read);
    BIO_meth_set_write(made, &Channel::bio_write);
    BIO_meth_set_ctrl(made, &Channel::bio_control);
    return made;
  }();
  return method;
}

}  // namespace postern::bench
