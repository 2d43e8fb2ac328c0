#include "tests/bench/sink.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <memory>

namespace postern::bench {
namespace {

struct Totals {
  std::uint64_t sessions = 0, messages = 0, octets = 0, handshakes = 0, resumed = 0;
};

struct Listener {
  int fd = -1;
  SinkListener settings;
  SSL_CTX* tls = nullptr;
};

// The server's half of a dialogue. Trusts the bench's own client: it waits for the reply to the end of data, so the end
// of data is always the end of what has arrived.
class Session {
 public:
  Session(int fd, const Listener& listener, Totals& totals)
      : channel_(fd), listener_(listener), totals_(totals), number_(++totals.sessions) {
    if (listener.settings.security == Security::implicit) start_tls();
  }

  void greet() {
    if (listener_.settings.security != Security::implicit && listener_.settings.auth_backend == 0)
      reply("220 sink\r\n");
    channel_.flush();
  }
  bool on_readable(std::span<char> scratch);  // false: the session is over

 private:
  enum class State { command, data, bdat, over };

  void start_tls();
  void count_handshake();
  void take(std::string_view octets);
  void take_data(std::string_view octets);
  void take_command(std::string_view line);
  void greet_back();
  void begin_chunk(std::string_view line);
  void answer_starttls();
  void answer_auth();
  bool waits_for_tls() const { return listener_.settings.security == Security::starttls && channel_.ssl() == nullptr; }
  void accept_message();
  void reply(std::string_view text) { channel_.write(text); }

  Channel channel_;
  const Listener& listener_;
  Totals& totals_;
  const std::uint64_t number_;
  State state_ = State::command;
  bool handshake_counted_ = false;
  std::string line_;        // a command, as far as it has come
  std::string tail_;        // the last octets of DATA
  std::uint64_t left_ = 0;  // of the BDAT chunk
  bool last_ = false;       // that chunk is the last one
};

bool Session::on_readable(std::span<char> scratch) {
  for (;;) {
    const std::ptrdiff_t got = channel_.read(scratch);
    if (got == 0) return false;
    if (channel_.ssl() != nullptr && !handshake_counted_ && SSL_is_init_finished(channel_.ssl())) {
      count_handshake();
      if (listener_.settings.security == Security::implicit) reply("220 sink\r\n");
    }
    if (got < 0) break;
    take({scratch.data(), static_cast<std::size_t>(got)});
    if (state_ == State::over) {
      channel_.flush();
      return false;
    }
    // A short read of plaintext has emptied the socket; within TLS only WANT_READ says so.
    if (channel_.ssl() == nullptr && static_cast<std::size_t>(got) < scratch.size()) break;
  }
  if (channel_.flush() == Channel::Progress::broken) return false;
  channel_.release_buffers();
  return true;
}

void Session::start_tls() {
  SSL* ssl = SSL_new(listener_.tls);
  SSL_set_accept_state(ssl);
  SSL_set_shed_handshake_config(ssl, 1);
  if (listener_.settings.refuses_tickets) {
    // A ticket is good only in the context that it was given in, and no two connections share one.
    SSL_set_session_id_context(ssl, reinterpret_cast<const std::uint8_t*>(&number_), sizeof number_);
  }
  channel_.start_tls(ssl);
}

void Session::count_handshake() {
  handshake_counted_ = true;
  demand_common_protocol(channel_.ssl());
  ++totals_.handshakes;
  if (SSL_session_reused(channel_.ssl())) ++totals_.resumed;
}

void Session::take(std::string_view octets) {
  while (!octets.empty() && state_ != State::over) {
    if (state_ == State::data) return take_data(octets);
    if (state_ == State::bdat) {
      const std::uint64_t part = std::min<std::uint64_t>(left_, octets.size());
      totals_.octets += part;
      left_ -= part;
      octets.remove_prefix(part);
      if (left_ == 0) {
        state_ = State::command;
        if (last_) accept_message();
      }
      continue;
    }
    const std::size_t end = octets.find('\n');
    line_ += octets.substr(0, end == std::string_view::npos ? end : end + 1);
    if (end == std::string_view::npos) return;
    octets.remove_prefix(end + 1);
    take_command(line_);
    line_.clear();
  }
}

void Session::take_data(std::string_view octets) {
  constexpr std::string_view end = "\r\n.\r\n";
  totals_.octets += octets.size();
  tail_ += octets.substr(octets.size() - std::min(octets.size(), end.size()));
  if (tail_.size() > end.size()) tail_.erase(0, tail_.size() - end.size());
  if (tail_ != end) return;
  totals_.octets -= 3;  // the dot and its CRLF are no content
  state_ = State::command;
  accept_message();
}

void Session::accept_message() {
  ++totals_.messages;
  reply("250 2.0.0 accepted\r\n");
}

void Session::take_command(std::string_view line) {
  if (listener_.settings.auth_backend != 0) return line == "\r\n" ? answer_auth() : void();
  const std::string_view verb = line.substr(0, 4);
  if (verb == "EHLO" || verb == "HELO") {
    greet_back();
  } else if (verb == "STAR") {
    answer_starttls();
  } else if (verb == "QUIT") {
    reply("221 2.0.0 bye\r\n");
    state_ = State::over;
  } else if (waits_for_tls()) {
    reply("530 5.7.0 nothing is measured here without TLS\r\n");
  } else if (verb == "DATA") {
    state_ = State::data;
    tail_ = "\r\n";
    reply("354 go ahead\r\n");
  } else if (verb == "BDAT") {
    begin_chunk(line);
  } else {
    reply("250 2.0.0 ok\r\n");
  }
}

void Session::greet_back() {
  reply("250-sink\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n");
  reply(waits_for_tls() ? "250-STARTTLS\r\n250 CHUNKING\r\n" : "250 CHUNKING\r\n");
}

void Session::begin_chunk(std::string_view line) {
  state_ = State::bdat;
  std::from_chars(line.data() + 5, line.data() + line.size(), left_);
  last_ = line.find("LAST") != std::string_view::npos;
}

void Session::answer_starttls() {
  reply("220 2.0.0 go ahead\r\n");
  channel_.flush();
  start_tls();
}

void Session::answer_auth() {
  reply("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: " +
        std::to_string(listener_.settings.auth_backend) + "\r\n\r\n");
  state_ = State::over;
}

Listener open_listener(const SinkListener& settings) {
  Listener listener{listen_on(settings.port), settings, nullptr};
  if (settings.security == Security::plain) return listener;
  listener.tls = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_num_tickets(listener.tls, 1);
  SSL_CTX_set1_curves_list(listener.tls, "X25519");
  if (SSL_CTX_use_certificate_chain_file(listener.tls, settings.chain.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(listener.tls, settings.key.c_str(), SSL_FILETYPE_PEM) != 1)
    die("cannot load " + settings.chain);
  return listener;
}

class Sink {
 public:
  explicit Sink(const std::vector<SinkListener>& settings) : scratch_(256 * 1024), sessions_(65536) {
    for (const SinkListener& each : settings) {
      listeners_.push_back(open_listener(each));
      watch(listeners_.back().fd);
    }
    watch(STDIN_FILENO);
  }
  void serve();

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl failed");
  }
  bool answer_script();
  void accept_from(const Listener& listener);

  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  std::vector<char> scratch_;
  std::vector<std::unique_ptr<Session>> sessions_;  // by descriptor
  std::vector<Listener> listeners_;
  Totals totals_;
};

void Sink::serve() {
  std::array<epoll_event, 256> events;
  for (;;) {
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int n = 0; n < ready; ++n) {
      const int fd = events[static_cast<std::size_t>(n)].data.fd;
      const auto listener =
          std::find_if(listeners_.begin(), listeners_.end(), [fd](const Listener& each) { return each.fd == fd; });
      if (fd == STDIN_FILENO && !answer_script()) return;
      if (listener != listeners_.end()) accept_from(*listener);
      auto& session = sessions_[static_cast<std::size_t>(fd)];
      if (session && !session->on_readable(scratch_)) session.reset();
    }
  }
}

bool Sink::answer_script() {
  std::array<char, 64> line;
  if (read(STDIN_FILENO, line.data(), line.size()) <= 0) return false;
  for (const std::uint64_t total :
       {totals_.sessions, totals_.messages, totals_.octets, totals_.handshakes, totals_.resumed})
    std::printf("%llu ", static_cast<unsigned long long>(total));
  std::printf("\n");
  std::fflush(stdout);
  return true;
}

void Sink::accept_from(const Listener& listener) {
  for (;;) {
    const int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    auto& session = sessions_.at(static_cast<std::size_t>(fd));
    session = std::make_unique<Session>(fd, listener, totals_);
    session->greet();
    watch(fd);
  }
}

}  // namespace

void run_sink(const std::vector<SinkListener>& listeners) {
  Sink(listeners).serve();
}

}  // namespace postern::bench
