#include "tests/bench/client.h"

#include <array>
#include <cstdlib>

namespace postern::bench {
namespace {

constexpr std::string_view mail = "MAIL FROM:<sender@bench.example>\r\n";
constexpr std::string_view rcpt = "RCPT TO:<recipient@bench.example>\r\n";

}  // namespace

ClientTls::ClientTls(bool resume) : context_(SSL_CTX_new(TLS_client_method())) {
  SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
  SSL_CTX_set1_curves_list(context_, "X25519");
  if (!resume) return;
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context_, &ClientTls::on_ticket);
  SSL_CTX_set_ex_data(context_, 0, this);
}

ClientTls::~ClientTls() {
  SSL_SESSION_free(ticket_);
  SSL_CTX_free(context_);
}

int ClientTls::on_ticket(SSL* ssl, SSL_SESSION* session) {
  auto* self = static_cast<ClientTls*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0));
  SSL_SESSION_free(self->ticket_);
  self->ticket_ = session;
  return 1;
}

SSL* ClientTls::make() {
  SSL* ssl = SSL_new(context_);
  SSL_set_connect_state(ssl);
  SSL_set_tlsext_host_name(ssl, "mx.bench.example");
  if (ticket_ != nullptr) SSL_set_session(ssl, ticket_);
  return ssl;
}

void ClientTls::count(SSL* ssl) {
  if (SSL_version(ssl) != TLS1_3_VERSION || SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)) != 0x1301)
    die("the gateway did not choose TLS 1.3 with AES-128-GCM: the figures would not compare");
  ++handshakes;
  if (SSL_session_reused(ssl)) ++resumed;
}

Client::Client(int port, Security security, ClientTls& tls) : channel_(connect_to(port)) {
  if (security == Security::implicit) start_tls(tls);
  expect(220);
  if (security == Security::starttls) {
    ask("EHLO client.bench.example\r\n", 250);
    ask("STARTTLS\r\n", 220);
    start_tls(tls);
  }
  ask("EHLO client.bench.example\r\n", 250);
}

void Client::start_tls(ClientTls& tls) {
  channel_.start_tls(tls.make());
  if (SSL_do_handshake(channel_.ssl()) != 1 || !channel_.flush()) die("the TLS handshake failed");
  tls.count(channel_.ssl());
}

void Client::noop() {
  ask("NOOP\r\n", 250);
}

void Client::quit() {
  ask("QUIT\r\n", 221);
}

void Client::send_lock_step(std::string_view body) {
  ask(mail, 250);
  ask(rcpt, 250);
  ask("DATA\r\n", 354);
  write_body(body);
  expect(250);
}

void Client::send_pipelined(std::string_view body) {
  static const std::string commands = std::string(mail) + std::string(rcpt) + "DATA\r\n";
  ask(commands, 250);
  expect(250);
  expect(354);
  write_body(body);
  expect(250);
}

void Client::send_bdat(std::string_view body) {
  std::string all = std::string(mail) + std::string(rcpt) + "BDAT " + std::to_string(body.size()) + " LAST\r\n";
  all += body;
  ask(all, 250);
  expect(250);
  expect(250);
}

void Client::ask(std::string_view commands, int code) {
  channel_.write(commands);
  expect(code);
}

void Client::write_body(std::string_view body) {
  // The dot belongs into the last record: a body with a record of its own for the dot is a rare client's.
  constexpr std::size_t piece = 64 * 1024;
  while (body.size() > piece) {
    channel_.write(body.substr(0, piece));
    body.remove_prefix(piece);
  }
  channel_.write(std::string(body) + ".\r\n");
}

void Client::expect(int code) {
  if (!channel_.flush()) die("the gateway closed the connection");
  std::string_view line;
  do line = next_line();
  while (line.size() > 3 && line[3] == '-');
  if (std::atoi(std::string(line.substr(0, 3)).c_str()) != code)
    die("expected " + std::to_string(code) + ", the gateway said: " + std::string(line));
}

std::string_view Client::next_line() {
  for (;;) {
    const std::size_t end = received_.find('\n', used_);
    if (end != std::string::npos) {
      const std::string_view line = std::string_view(received_).substr(used_, end - used_);
      used_ = end + 1;
      return line;
    }
    received_.erase(0, used_);
    used_ = 0;
    std::array<char, 4096> piece;
    const std::ptrdiff_t got = channel_.read(piece);
    if (got <= 0) die(got == 0 ? "the gateway closed the connection" : "no reply within 30 s");
    received_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace postern::bench
