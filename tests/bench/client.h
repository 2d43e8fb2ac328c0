// A blocking SMTP client, one per thread: exactly the writes that a row asks for, no cleverness.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tests/bench/channel.h"

namespace postern::bench {

enum class Security { plain, starttls, implicit };

// What all sessions of a thread share.
class ClientTls {
 public:
  explicit ClientTls(bool resume);
  ~ClientTls();
  ClientTls(const ClientTls&) = delete;
  ClientTls& operator=(const ClientTls&) = delete;

  // A client connection that offers the last ticket seen, where resumption was asked for.
  SSL* make();
  // Counts a finished handshake; a protocol or cipher other than the one all gateways are measured with ends the
  // program.
  void count(SSL* ssl);

  std::size_t handshakes = 0;
  std::size_t resumed = 0;

 private:
  static int on_ticket(SSL* ssl, SSL_SESSION* session);

  SSL_CTX* context_;
  SSL_SESSION* ticket_ = nullptr;
};

class Client {
 public:
  // Connects, starts TLS as asked for and says EHLO. Every unexpected reply ends the program.
  Client(int port, Security security, ClientTls& tls);

  void noop();
  void quit();
  // MAIL, RCPT, DATA, then `body` (which ends in CRLF) and the final dot: a round trip each.
  void send_lock_step(std::string_view body);
  // The three commands in one write, the body in another (RFC 2920).
  void send_pipelined(std::string_view body);
  // Commands and content in a single write (RFC 3030).
  void send_bdat(std::string_view body);

 private:
  void start_tls(ClientTls& tls);
  void ask(std::string_view commands, int code);
  void write_body(std::string_view body);
  void expect(int code);
  std::string_view next_line();

  Channel channel_;
  std::string received_;
  std::size_t used_ = 0;
};

}  // namespace postern::bench
