// One TCP connection, in plaintext or TLS, as both the load generator and the sink use it. Never blocks. Reads and
// writes up to 64 KiB at once, whatever the record size, so that the bench's own system calls do not become the limit.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace postern::bench {

// The bench measures or fails; there is nothing to recover. Prints the sentence and ends the program with 1.
[[noreturn]] void die(const std::string& sentence);

// "127.0.0.1:PORT". Nagle is off on both; a connected socket still blocks.
int connect_to(int port);
int listen_on(int port);
void make_non_blocking(int fd);

// Ends the program where a finished handshake has come to another protocol or cipher than the one that all gateways are
// measured with.
void demand_common_protocol(const SSL* ssl);

class Channel {
 public:
  enum class Progress { done, would_block, broken };

  explicit Channel(int fd) : fd_(fd) {}  // takes ownership of a socket that does not block
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // From now on everything is inside this TLS connection, which knows its role already. Takes ownership.
  void start_tls(SSL* ssl);
  SSL* ssl() const { return ssl_.get(); }
  int fd() const { return fd_; }

  // Goes on with the handshake; read() does so by itself.
  Progress handshake();
  // Octets read; 0 when the peer closed or the connection broke; -1 when there is no more for now. What is queued
  // leaves first.
  std::ptrdiff_t read(std::span<char> into);

  // Queues without a bound: at most 64 KiB between two flushes is a good idea.
  void write(std::string_view octets);
  Progress flush();

  // Gives memory back that an idle connection has no use for.
  void release_buffers();

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  static int bio_read(BIO* bio, char* into, int size);
  static int bio_write(BIO* bio, const char* octets, int size);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  static const BIO_METHOD* bio_method();
  std::ptrdiff_t receive(std::span<char> into);

  int fd_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::unique_ptr<char[]> in_;  // ciphertext
  std::string_view unread_;     // what the library has not taken of it
  std::string out_;
  std::size_t sent_ = 0;  // of out_
};

}  // namespace postern::bench
