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
  demand_common_protocol(ssl);
  ++handshakes;
  if (SSL_session_reused(ssl)) ++resumed;
}

Client::Client(int port, Poller& poller) : poller_(poller), channel_(connect_to(port)) {
  make_non_blocking(channel_.fd());
  poller_.watch(channel_.fd());
}

Task Client::open(Security security, ClientTls& tls) {
  if (security == Security::implicit) co_await start_tls(tls);
  co_await expect(220);
  if (security == Security::starttls) {
    co_await ask("EHLO client.bench.example\r\n", 250);
    co_await ask("STARTTLS\r\n", 220);
    co_await start_tls(tls);
  }
  co_await ask("EHLO client.bench.example\r\n", 250);
}

Task Client::start_tls(ClientTls& tls) {
  channel_.start_tls(tls.make());
  for (;;) {
    const auto progress = channel_.handshake();
    if (progress == Channel::Progress::done) break;
    if (progress == Channel::Progress::broken) die("the TLS handshake failed");
    co_await poller_.changed(channel_.fd());
  }
  tls.count(channel_.ssl());
}

Task Client::noop() {
  return ask("NOOP\r\n", 250);
}

Task Client::quit() {
  return ask("QUIT\r\n", 221);
}

Task Client::send_lock_step(std::string_view body) {
  co_await ask(mail, 250);
  co_await ask(rcpt, 250);
  co_await ask("DATA\r\n", 354);
  co_await send_body(body);
  co_await expect(250);
}

Task Client::send_pipelined(std::string_view body) {
  static const std::string commands = std::string(mail) + std::string(rcpt) + "DATA\r\n";
  co_await ask(commands, 250);
  co_await expect(250);
  co_await expect(354);
  co_await send_body(body);
  co_await expect(250);
}

Task Client::send_bdat(std::string_view body) {
  std::string all = std::string(mail) + std::string(rcpt) + "BDAT " + std::to_string(body.size()) + " LAST\r\n";
  all += body;
  co_await ask(all, 250);
  co_await expect(250);
  co_await expect(250);
}

Task Client::ask(std::string_view commands, int code) {
  channel_.write(commands);
  co_await expect(code);
}

Task Client::send_body(std::string_view body) {
  constexpr std::size_t piece = 64 * 1024;
  while (body.size() > piece) {
    channel_.write(body.substr(0, piece));
    body.remove_prefix(piece);
    co_await flush();
  }
  channel_.write(std::string(body) + ".\r\n");  // the dot belongs into the last record
  co_await flush();
}

Task Client::flush() {
  for (;;) {
    const auto progress = channel_.flush();
    if (progress == Channel::Progress::done) co_return;
    if (progress == Channel::Progress::broken) die("the gateway closed the connection");
    co_await poller_.changed(channel_.fd());
  }
}

Task Client::expect(int code) {
  for (;;) {
    while (const auto line = next_line()) {
      if (line->size() > 3 && (*line)[3] == '-') continue;
      if (std::atoi(std::string(line->substr(0, 3)).c_str()) == code) co_return;
      die("expected " + std::to_string(code) + ", the gateway said: " + std::string(*line));
    }
    std::array<char, 4096> piece;
    const std::ptrdiff_t got = channel_.read(piece);
    if (got == 0) die("the gateway closed the connection");
    if (got < 0) co_await poller_.changed(channel_.fd());
    if (got > 0) received_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

std::optional<std::string_view> Client::next_line() {
  const std::size_t end = received_.find('\n', used_);
  if (end == std::string::npos) {
    received_.erase(0, used_);
    used_ = 0;
    return std::nullopt;
  }
  const std::string_view line = std::string_view(received_).substr(used_, end - used_);
  used_ = end + 1;
  return line;
}

}  // namespace postern::bench
