// An SMTP client: exactly the writes that a row asks for, no cleverness.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tests/bench/channel.h"
#include "tests/bench/task.h"

namespace postern::bench {

enum class Security { plain, starttls, implicit };

// What all sessions share.
class ClientTls {
 public:
  explicit ClientTls(bool resume);
  ~ClientTls();
  ClientTls(const ClientTls&) = delete;
  ClientTls& operator=(const ClientTls&) = delete;

  // A client connection that offers the last ticket seen, where resumption was asked for.
  SSL* make();
  // Counts a finished handshake, which must have come to the common protocol.
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
  Client(int port, Poller& poller);

  // Starts TLS as asked for and says EHLO. Every unexpected reply ends the program.
  Task open(Security security, ClientTls& tls);
  Task noop();
  Task quit();
  // MAIL, RCPT, DATA, then `body` (which ends in CRLF) and the final dot: a round trip each.
  Task send_lock_step(std::string_view body);
  // The three commands in one write, the body in another (RFC 2920).
  Task send_pipelined(std::string_view body);
  // Commands and content in a single write (RFC 3030).
  Task send_bdat(std::string_view body);

 private:
  Task start_tls(ClientTls& tls);
  Task ask(std::string_view commands, int code);
  Task send_body(std::string_view body);
  Task flush();
  Task expect(int code);
  std::optional<std::string_view> next_line();

  Poller& poller_;
  Channel channel_;
  std::string received_;
  std::size_t used_ = 0;
};

}  // namespace postern::bench
