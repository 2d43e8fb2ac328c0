// Sessions between a client and a server that the test plays, over sockets on loopback, in one thread: whoever goes
// away at whatever moment, the session ends and frees what it held. (Loop asserts that no handle is left.)
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/net/listener.h"
#include "proxy/runtime/preflight.h"
#include "proxy/session/session.h"
#include "tests/tls/engine_pair.h"

namespace postern::session_rig {

using session::Session;

// The far end of a connection, with or without TLS. Nothing in it waits.
class FarEnd {
 public:
  explicit FarEnd(UniqueFd fd) : fd_(std::move(fd)) {}

  void say(std::string_view text) {
    if (!tls_) return write(text);
    tls_->send(text);
    write(tls_->take_output());
  }
  // Takes what has come.
  void look() {
    char bytes[16384];
    while (fd_.get() >= 0) {
      const ssize_t count = ::recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (count <= 0) {
        ended = ended || count == 0 || (errno != EAGAIN && errno != EINTR);
        return;
      }
      take({bytes, static_cast<std::size_t>(count)});
    }
  }
  void start_tls(std::unique_ptr<tls::Engine> engine) {
    tls_.emplace(std::move(engine));
    tls_->start();
    write(tls_->take_output());
  }
  bool in_tls() const { return tls_ && tls_->completed > 0; }
  // Takes a line from what was heard; empty: there is none yet.
  std::string line() {
    const std::size_t end = heard.find("\r\n");
    if (end == std::string::npos) return {};
    std::string line = heard.substr(0, end + 2);
    heard.erase(0, end + 2);
    return line;
  }
  void say_no_more() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_ = UniqueFd(); }
  void reset() {
    const linger at_once = {1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }

  std::string heard;
  bool ended = false;
  bool deaf_to_tls = false;  // what comes while TLS begins is not answered

 private:
  void take(std::string_view bytes) {
    if (!tls_) {
      heard.append(bytes);
    } else if (!deaf_to_tls) {
      tls_->feed(bytes);
      write(tls_->take_output());
      heard += std::exchange(tls_->text, {});
    }
  }
  void write(std::string_view bytes) {
    if (fd_.get() >= 0) (void)!::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  UniqueFd fd_;
  std::optional<tls::engine_pair::Peer> tls_;
};

inline net::BoundAddress listen_somewhere() {
  auto bound = net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1);
  REQUIRE(bound);
  REQUIRE(::listen(bound->sockets[0].get(), 16) == 0);
  return std::move(*bound);
}

// A server that takes all mail, and stops answering when it is asked `silent_at`: "CONNECT", a verb, "." for the end of
// a message, "HELLO" for that of TLS. What is said inside TLS is called "TLS EHLO" and so on where `tells_tls`. At
// "HELLO" it can also close.
class Server {
 public:
  Server() : bound_(listen_somewhere()) {}

  std::uint16_t port() const { return bound_.address.port; }

  void look() {
    for (int fd; (fd = ::accept4(bound_.sockets[0].get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
      connections.push_back(std::make_unique<FarEnd>(UniqueFd(fd)));
      in_content_ = false;
      answer(*connections.back(), "CONNECT", "220 server.example ESMTP\r\n");
    }
    for (const auto& connection : connections) {
      connection->look();
      while (!silent) {
        const std::string line = connection->line();
        if (line.empty()) break;
        hear(*connection, line);
      }
    }
  }
  // Whoever is connected last.
  FarEnd& present() { return *connections.back(); }

  std::string silent_at;
  bool silent = false;  // it has come to that
  bool offers_starttls = false;
  bool speaks_tls1_0 = false;                  // and nothing newer
  int accepted = 0;                            // messages
  std::map<std::string, std::string> instead;  // what it answers where it is asked that; empty: it closes
  std::vector<std::unique_ptr<FarEnd>> connections;

 private:
  void hear(FarEnd& client, const std::string& line) {
    if (in_content_) {
      if (line != ".\r\n") return;
      in_content_ = false;
      accepted += answer(client, ".", "250 2.0.0 taken\r\n") ? 1 : 0;
      return;
    }
    const std::string verb = line.substr(0, 4);
    if (verb == "EHLO") {
      const bool offer = offers_starttls && !client.in_tls();
      answer(client, verb,
             std::string("250-server.example\r\n250-8BITMIME\r\n") + (offer ? "250-STARTTLS\r\n" : "") +
                 "250 PIPELINING\r\n");
    } else if (verb == "STAR") {
      if (!answer(client, "STARTTLS", "220 2.0.0 go ahead\r\n")) return;
      static const auto context = tls::engine_pair::make_server();
      static const auto old_context = [] {
        auto options = tls::engine_pair::server_options();
        options.tls.max_version = config::TlsVersion::tls1_0;
        return tls::engine_pair::make_server(options);
      }();
      if (instead.contains("HELLO")) return client.close();
      client.deaf_to_tls = silent = silent_at == "HELLO";
      client.start_tls(std::move(*(speaks_tls1_0 ? old_context : context)->make_engine()));
    } else if (verb == "DATA") {
      in_content_ = answer(client, verb, "354 go ahead\r\n");
    } else {
      answer(client, verb, verb == "QUIT" ? "221 2.0.0 bye\r\n" : "250 2.0.0 ok\r\n");
    }
  }
  bool answer(FarEnd& client, const std::string& what, std::string_view reply) {
    if (silent_at == (client.in_tls() ? "TLS " : "") + what) silent = true;
    if (silent) return false;
    const auto other = instead.find((client.in_tls() ? "TLS " : "") + what);
    if (other == instead.end()) return client.say(reply), true;
    if (other->second.empty()) client.close();
    if (!other->second.empty()) client.say(other->second);
    return false;
  }

  net::BoundAddress bound_;
  bool in_content_ = false;
};

// A worker's place for sessions. SERVER in the configuration is the server's endpoint, PORT its port, CERTIFICATE a
// pair.
class World {
 public:
  explicit World(std::string yaml) {
    std::signal(SIGPIPE, SIG_IGN);  // as the program does
    put(yaml, "SERVER", "127.0.0.1:" + std::to_string(server.port()));
    put(yaml, "PORT", std::to_string(server.port()));
    put(yaml, "CERTIFICATE", certificate());
    runtime::Made made = runtime::prepare(config::load_text(yaml, "session.yaml", {}));
    for (const auto& diagnostic : made.loaded.diagnostics) UNSCOPED_INFO(config::to_string(diagnostic));
    REQUIRE(made.runtime);
    equip(*made.runtime, policy::MtaStsStore::Access::read_only);
    runtime = std::move(made.runtime);
    loop.at_end_of_turn([this] { free_retired(); });
  }
  ~World() {
    abandon();
    turn();
    free_retired();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // A client connects, and `make` gets the near end of its connection.
  template <class Make>
  void begin(Make make) {
    const auto bound = listen_somewhere();
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(bound.address.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    UniqueFd far(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(far.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const int near = ::accept4(bound.sockets[0].get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    auto socket = net::make_tcp(loop.raw());
    REQUIRE(uv_tcp_open(reinterpret_cast<uv_tcp_t*>(socket.get()), near) == 0);
    client.emplace(std::move(far));
    sessions.push_back(make(std::move(socket)));
    sessions.back()->slot = 0;
    sessions.back()->start();
  }

  void turn() {
    uv_run(loop.raw(), UV_RUN_NOWAIT);
    server.look();
    if (client) client->look();
    if (after_turn) after_turn();
  }
  bool until(const std::function<bool()>& done, std::uint64_t milliseconds = 5000) {
    const auto end = uv_hrtime() + milliseconds * 1'000'000;
    while (!done() && uv_hrtime() < end) turn();
    return done();
  }
  // The session has ended by itself, or does when its time is up.
  bool ends() {
    if (until([this] { return sessions.empty(); }, 5)) return true;
    for (std::uint64_t hours = 1; hours <= 20 && !sessions.empty(); ++hours) {
      sessions[0]->sweep(loop.now() + hours * 3'600'000);
      if (until([this] { return sessions.empty(); }, 5)) return true;
    }
    return sessions.empty();
  }
  void abandon() {
    while (!sessions.empty()) sessions.back()->abandon();
  }
  std::uint64_t accepted() const { return books.sum("messages_total", {"accepted"}); }

  net::Loop loop;
  stream::Scratch scratch;
  smtp::Effects effects;
  net::ChildReaper reaper;
  observe::Books books;
  std::vector<std::unique_ptr<session::Session>> sessions;
  std::vector<std::unique_ptr<session::Session>> retired;
  std::vector<std::unique_ptr<stream::Stream>> buried;
  session::Surroundings around{loop,
                               scratch,
                               effects,
                               reaper,
                               books,
                               [this](session::Session&) {
                                 retired.push_back(std::move(sessions.back()));
                                 sessions.pop_back();
                               },
                               [this](std::unique_ptr<stream::Stream> stream) { buried.push_back(std::move(stream)); }};
  std::shared_ptr<const runtime::Runtime> runtime;
  Server server;
  std::optional<FarEnd> client;
  std::function<void()> after_turn;

 private:
  void free_retired() {
    retired.clear();
    buried.clear();
  }
  static void put(std::string& yaml, const std::string& word, const std::string& value) {
    for (std::size_t at = 0; (at = yaml.find(word)) != std::string::npos;) yaml.replace(at, word.size(), value);
  }
  static std::string certificate() {
    static const test_support::TempDirectory directory;
    static const auto made = test_support::make_certificate({.dns_names = {"mx.example.org"}});
    return "{ chain: " + directory.write("chain", made.certificate_pem()) +
           ", key: " + directory.write("key", made.key_pem()) + " }";
  }
};

// What the client says, each behind the reply to what was before; "STARTTLS" is followed by the handshake, and DATA by
// half a message and the other half. Stops where the server is silent; false: something else went wrong.
inline bool converse(World& world, const std::vector<std::string>& words) {
  static tls::engine_pair::TestClient tls_client;
  FarEnd& client = *world.client;
  // The last line of a reply.
  const auto replied = [&] {
    for (;;) {
      const std::string line = client.line();
      if (line.empty()) return false;
      if (line.size() > 3 && line[3] != '-') return true;
    }
  };
  const auto answered = [&] {
    bool got = false;
    return world.until([&] { return world.server.silent || (got = got || replied()); });
  };
  if (!answered()) return false;
  for (const std::string& word : words) {
    if (world.server.silent) return true;
    client.say(word);
    if (!word.ends_with("\r\n")) continue;  // half of something
    if (!answered()) return false;
    if (word != "STARTTLS\r\n" || world.server.silent) continue;
    client.start_tls(tls_client.engine());
    if (!world.until([&] { return client.in_tls(); })) return false;
  }
  return true;
}

// Every way in which somebody goes, or time does.
struct Departure {
  const char* name;
  void (*happen)(World& world);
};

inline const std::vector<Departure>& departures() {
  static const auto server_of = [](World& world) {
    return world.server.connections.empty() ? nullptr : &world.server.present();
  };
  static const std::vector<Departure> all = {
      {"the client closes", [](World& world) { world.client->close(); }},
      {"the client resets", [](World& world) { world.client->reset(); }},
      {"the client says no more", [](World& world) { world.client->say_no_more(); }},
      {"the server closes",
       [](World& world) {
         if (FarEnd* const server = server_of(world)) server->close();
       }},
      {"the server resets",
       [](World& world) {
         if (FarEnd* const server = server_of(world)) server->reset();
       }},
      {"both are gone",
       [](World& world) {
         world.client->close();
         if (FarEnd* const server = server_of(world)) server->reset();
       }},
      {"the gateway stops", [](World& world) { world.abandon(); }},
      {"the gateway drains",
       [](World& world) {
         if (!world.sessions.empty()) world.sessions[0]->on_drain({0, world.loop.now() + 300'000});
       }},
      {"nothing happens any more", [](World&) {}},
  };
  return all;
}

}  // namespace postern::session_rig
