// A worker that another snapshot takes over while its sessions run: over real sockets, with its own thread.
#include "proxy/gateway/worker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <future>

#include "proxy/runtime/needs.h"
#include "proxy/runtime/preflight.h"
#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/support/program_starter.h"
#include "tls/client_context.h"
#include "tls/peer_certificates.h"

namespace worker_test {

using namespace postern;
using test_support::TempDirectory;

UniqueFd tcp_socket() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience = {20, 0};  // a hanging test is a failing one
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A blocking SMTP client.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(tcp_socket()) {
    const sockaddr_in address = loopback(port);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  bool connected() const { return connected_; }

  void say(const std::string& line) { send(line + "\r\n"); }
  // The next reply's last line, without CRLF; empty at the end.
  std::string reply() {
    for (;;) {
      const std::size_t end = received_.find("\r\n");
      if (end != std::string::npos) {
        const std::string line = received_.substr(0, end);
        received_.erase(0, end + 2);
        if (line.size() < 4 || line[3] == ' ') return line;
        continue;
      }
      if (!receive()) return {};
    }
  }
  std::string command(const std::string& line) {
    say(line);
    return reply();
  }

  // STARTTLS, as far as it matters here: the name in the certificate that the other side shows.
  std::string name_after_starttls() {
    REQUIRE(command("STARTTLS").starts_with("220"));
    const auto context = tls::ClientContext::make(tls::ClientContext::Options{});
    REQUIRE(context);
    const auto engine = (*context)->make_engine("mx.example.org");
    REQUIRE(engine);
    tls::OutputBuffer outgoing;
    std::vector<char> plain;
    (void)(*engine)->start(outgoing);
    while (!(*engine)->handshake_done()) {
      send(outgoing.view());
      outgoing.clear();
      received_.clear();
      REQUIRE(receive());
      plain.resize(received_.size() + tls::Engine::max_record);
      REQUIRE_FALSE((*engine)->receive(received_, plain, outgoing).error);
    }
    return (*engine)->peer_certificates().common_name();
  }

 private:
  void send(std::string_view bytes) {
    REQUIRE(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  bool receive() {
    char bytes[16384];
    ssize_t count = 0;
    // Where a receive has a time limit, SIGCHLD of a program interrupts it, SA_RESTART or not.
    do count = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    while (count < 0 && errno == EINTR);
    if (count > 0) received_.append(bytes, static_cast<std::size_t>(count));
    return count > 0;
  }

  UniqueFd fd_;
  bool connected_ = false;
  std::string received_;
};

// A worker of its own thread, and the snapshots that it is given.
class Running {
 public:
  explicit Running(const std::string& yaml) : runtime_(snapshot(yaml, nullptr)), worker_(0, runtime_) {
    worker_.prepare();
    // One at most in this process: it reaps every child.
    if (runtime::needs(runtime_->settings).programs) {
      programs_ = std::make_unique<test_support::ProgramStarter>(runtime_->settings);
      worker_.use_programs(programs_->connection());
    }
    worker_.start({}, [this] { ended_ = true; });
    worker_.adopt(runtime_, sockets_for(*runtime_));
  }
  ~Running() {
    worker_.stop();
    worker_.join();
    CHECK(ended_);
  }

  void adopt(const std::string& yaml) {
    runtime_ = snapshot(yaml, runtime_.get());
    worker_.adopt(runtime_, sockets_for(*runtime_));
  }
  void drain() { worker_.drain(); }
  // The worker does nothing while `meanwhile` runs; the first that it does afterwards is what `then` asks of it.
  void while_it_is_busy(const std::function<void()>& meanwhile, const std::function<void()>& then) {
    // Both threads', whoever is done with them first.
    const auto busy = std::make_shared<std::promise<void>>();
    const auto over = std::make_shared<std::promise<void>>();
    worker_.post([busy, over] {
      busy->set_value();
      over->get_future().wait();
    });
    busy->get_future().wait();
    meanwhile();
    then();
    over->set_value();
  }
  // The port behind the word <1>, <2> … of the configuration: free when it was chosen, and held until it is listened
  // on.
  std::uint16_t port(int number) {
    reserve();
    return ports_[static_cast<std::size_t>(number) - 1];
  }
  // A greeting, from whatever snapshot. Empty: nobody listens.
  std::string greeting(int number) {
    Client client(port(number));
    return client.connected() ? client.reply() : std::string();
  }
  // Waits until the worker has taken the snapshot with this name over: what came before it is done by then.
  void wait_for(int number, const std::string& greeting_begins) {
    for (int i = 0; i < 4000; ++i) {
      if (greeting(number).starts_with(greeting_begins)) return;
      ::usleep(5000);
    }
    FAIL("no such greeting: " + greeting_begins);
  }

  // A copy of what it has counted so far.
  observe::Books books() {
    std::promise<observe::Books> promise;
    worker_.gather([&promise](const observe::Books& found, const auto&) { promise.set_value(found); });
    return promise.get_future().get();
  }

 private:
  void reserve() {
    while (ports_.size() < 3) {
      auto bound = net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1);
      REQUIRE(bound);
      ports_.push_back(bound->address.port);
      reserved_.push_back(std::move(bound->sockets[0]));
    }
  }
  std::shared_ptr<const postern::runtime::Runtime> snapshot(std::string yaml,
                                                            const postern::runtime::Runtime* previous) {
    for (int number = 1; number <= 3; ++number) {
      const std::string word = "<" + std::to_string(number) + ">";
      for (std::size_t at = 0; (at = yaml.find(word)) != std::string::npos;) {
        yaml.replace(at, word.size(), "127.0.0.1:" + std::to_string(port(number)));
      }
    }
    const postern::runtime::Made made = runtime::prepare(config::load_text(yaml, "worker.yaml", {}), previous);
    for (const auto& diagnostic : made.loaded.diagnostics) UNSCOPED_INFO(config::to_string(diagnostic));
    REQUIRE(made.runtime);
    return made.runtime;
  }
  std::vector<postern::gateway::Worker::Socket> sockets_for(const postern::runtime::Runtime& runtime) {
    std::vector<postern::gateway::Worker::Socket> sockets;
    const auto add = [&](const auto& listener) {
      for (const auto& address : listener.listen) {
        const auto at = std::ranges::find(ports_, address.port) - ports_.begin();
        auto& held = reserved_[static_cast<std::size_t>(at)];
        if (held.get() >= 0) sockets.push_back({{address, listener.name}, std::move(held)});
      }
    };
    std::ranges::for_each(runtime.settings.inbound, add);
    std::ranges::for_each(runtime.settings.outbound, add);
    return sockets;
  }

  std::vector<std::uint16_t> ports_;
  std::vector<UniqueFd> reserved_;
  std::shared_ptr<const postern::runtime::Runtime> runtime_;
  std::atomic<bool> ended_ = false;
  postern::gateway::Worker worker_;
  std::unique_ptr<test_support::ProgramStarter> programs_;
};

std::string certificate_files(const TempDirectory& directory, const std::string& name) {
  test_support::CertificateWish wish;
  wish.common_name = name;
  wish.dns_names = {name};
  const auto made = test_support::make_certificate(wish);
  return "{ chain: " + directory.write(name + ".pem", made.certificate_pem()) +
         ", key: " + directory.write(name + ".key", made.key_pem()) + " }";
}

constexpr std::string_view backend = "backend: { address: \"127.0.0.1:1\" }, allow_open_relay_risk: true";

TEST_CASE("worker: a snapshot takes over for new sessions, and running ones keep theirs") {
  const TempDirectory directory;
  const auto inbound = [&](const std::string& name, const std::string& address, const std::string& certificate) {
    return "  " + name + ": { listen: [\"" + address + "\"], greeting: gateway, certificates: [" + certificate +
           "], ehlo: { name: " + name + ".example.org }, " + std::string(backend) + " }\n";
  };
  const std::string certificates = "certificates:\n  old: [" + certificate_files(directory, "old.example.org") +
                                   "]\n  new: [" + certificate_files(directory, "new.example.org") + "]\n";
  Running running("hostname: one.example.org\n" + certificates + "inbound:\n" + inbound("a", "<1>", "old") +
                  inbound("b", "<2>", "old"));
  running.wait_for(1, "220 one.example.org");
  Client before(running.port(1));
  REQUIRE(before.reply() == "220 one.example.org ESMTP");

  SECTION("listeners in another order, with other certificates") {
    running.adopt("hostname: two.example.org\n" + certificates + "inbound:\n" + inbound("b", "<2>", "new") +
                  inbound("a", "<1>", "new"));
    running.wait_for(1, "220 two.example.org");
    Client after(running.port(1));
    after.reply();
    CHECK(before.command("EHLO client.example").starts_with("250 "));
    CHECK(before.name_after_starttls() == "old.example.org");
    CHECK(after.command("EHLO client.example").starts_with("250 "));
    CHECK(after.name_after_starttls() == "new.example.org");
  }
  SECTION("a listener goes, another comes, a third has its address now") {
    Client removed(running.port(2));
    REQUIRE(removed.reply().starts_with("220"));
    running.adopt("hostname: two.example.org\n" + certificates + "inbound:\n" + inbound("c", "<1>", "new") +
                  inbound("d", "<3>", "new"));
    running.wait_for(3, "220 two.example.org");
    CHECK(running.greeting(2).empty());
    CHECK(removed.command("EHLO client.example") == "250 PIPELINING");
    Client renamed(running.port(1));
    renamed.reply();
    renamed.command("EHLO client.example");
    CHECK(renamed.name_after_starttls() == "new.example.org");
    CHECK(before.command("NOOP").starts_with("250"));
  }
  SECTION("many, one after the other, with sessions of each") {
    std::vector<std::unique_ptr<Client>> sessions;
    for (int i = 0; i < 20; ++i) {
      const std::string host = "n" + std::to_string(i) + ".example.org";
      const bool swapped = i % 2 == 0;
      running.adopt("hostname: " + host + "\n" + certificates + "inbound:\n" +
                    (swapped ? inbound("b", "<2>", "new") + inbound("a", "<1>", "old")
                             : inbound("a", "<1>", "old") + inbound("b", "<2>", "new")));
      running.wait_for(1, "220 " + host);
      sessions.push_back(std::make_unique<Client>(running.port(1 + i % 2)));
      CHECK(sessions.back()->reply() == "220 " + host + " ESMTP");
    }
    for (auto& session : sessions) {
      session->command("EHLO client.example");
      const bool to_b = (&session - sessions.data()) % 2 == 1;
      CHECK(session->name_after_starttls() == (to_b ? "new.example.org" : "old.example.org"));
    }
  }
}

TEST_CASE("worker: sessions of an address that is no more go on for a while, and then drain") {
  const TempDirectory directory;
  const std::string head = "drain: { timeout: 1s, spread: 0s }\ncertificates:\n  mx: [" +
                           certificate_files(directory, "mx.example.org") + "]\n";
  const auto inbound = [](const std::string& name, const std::string& address) {
    return "  " + name + ": { listen: [\"" + address + "\"], greeting: gateway, certificates: [mx], " +
           std::string(backend) + " }\n";
  };
  Running running("hostname: one.example.org\n" + head + "inbound:\n" + inbound("a", "<1>") + inbound("b", "<2>"));
  running.wait_for(1, "220 one.example.org");
  Client stays(running.port(1));
  Client goes(running.port(2));
  Client idle(running.port(2));
  for (Client* client : {&stays, &goes, &idle}) REQUIRE(client->reply().starts_with("220"));
  const std::uint64_t begun = uv_hrtime();
  running.adopt("hostname: two.example.org\n" + head + "inbound:\n" + inbound("a", "<1>"));
  running.wait_for(1, "220 two.example.org");
  std::string told;
  do {
    ::usleep(5'000);
    told = goes.command("NOOP");
  } while (told.starts_with("250"));
  CHECK(told.starts_with("421 4.3.2 "));
  CHECK(uv_hrtime() - begun > 900'000'000);
  CHECK(idle.reply().starts_with("421 4.3.2 "));
  CHECK(stays.command("NOOP").starts_with("250"));
}

// Clients connect while the worker does something else; what happens then comes before it would accept them.
constexpr int waiting_clients = 100;  // more than are accepted in one turn

std::vector<std::unique_ptr<Client>> wait_in_the_queue(Running& running, int number,
                                                       const std::function<void()>& then) {
  std::vector<std::unique_ptr<Client>> clients;
  running.while_it_is_busy(
      [&] {
        for (int i = 0; i < waiting_clients; ++i) {
          clients.push_back(std::make_unique<Client>(running.port(number)));
          REQUIRE(clients.back()->connected());
        }
      },
      then);
  return clients;
}

TEST_CASE("worker: who waits in the queue of a socket when it drains is told so, and not reset") {
  const TempDirectory directory;
  Running running("drain: { spread: 0s }\ncertificates:\n  mx: [" + certificate_files(directory, "mx.example.org") +
                  "]\ninbound:\n  a: { listen: [\"<1>\"], greeting: gateway, certificates: [mx], " +
                  std::string(backend) + " }\n");
  running.wait_for(1, "220 ");
  for (auto& client : wait_in_the_queue(running, 1, [&] { running.drain(); })) {
    CHECK(client->reply().starts_with("220 "));
    CHECK(client->reply().starts_with("421 4.3.2 "));
  }
}

TEST_CASE("worker: who waits in the queue of a socket that goes with a snapshot has a session all the same") {
  const TempDirectory directory;
  const std::string head = "certificates:\n  mx: [" + certificate_files(directory, "mx.example.org") + "]\ninbound:\n";
  const auto inbound = [](const std::string& name, const std::string& address) {
    return "  " + name + ": { listen: [\"" + address + "\"], greeting: gateway, certificates: [mx], " +
           std::string(backend) + " }\n";
  };
  Running running("hostname: one.example.org\n" + head + inbound("a", "<1>") + inbound("b", "<2>"));
  running.wait_for(2, "220 one.example.org");
  const auto clients =
      wait_in_the_queue(running, 2, [&] { running.adopt("hostname: two.example.org\n" + head + inbound("a", "<1>")); });
  for (const auto& client : clients) {
    CHECK(client->reply() == "220 one.example.org ESMTP");
    CHECK(client->command("NOOP").starts_with("250"));
  }
}

TEST_CASE("worker: listeners are told apart in its books, and one that goes with its snapshot keeps its numbers") {
  const TempDirectory directory;
  const std::string head = "certificates:\n  mx: [" + certificate_files(directory, "mx.example.org") + "]\ninbound:\n";
  const auto inbound = [](const std::string& name, const std::string& address, const std::string& greeting) {
    return "  " + name + ": { listen: [\"" + address + "\"], greeting: " + greeting + ", certificates: [mx], " +
           std::string(backend) + " }\n";
  };
  Running running("hostname: one.example.org\n" + head + inbound("a", "<1>", "gateway") +
                  inbound("b", "<2>", "backend"));
  running.wait_for(1, "220 one.example.org");
  observe::Books books = running.books();
  CHECK(books.of("inbound", "b").sum("backend_up", {"127.0.0.1:1"}) == 1);  // as far as anybody knows

  Client to_a(running.port(1));
  to_a.reply();
  CHECK(to_a.command("XCLIENT ADDR=192.0.2.1").starts_with("550"));
  Client to_b(running.port(2));
  CHECK(to_b.reply().starts_with("421"));
  books = running.books();
  CHECK(books.of("inbound", "a").sum("rejections_total", {"xclient_forbidden"}) == 1);
  CHECK(books.of("inbound", "a").sum("rejections_total") == 1);
  CHECK(books.of("inbound", "b").sum("rejections_total", {"backend_unavailable"}) == 1);
  CHECK(books.of("inbound", "b").sum("rejections_total") == 1);
  CHECK(books.of("inbound", "a").sum("backend_up") == 1);
  CHECK(books.of("inbound", "b").sum("backend_up") == 0);
  CHECK(books.of("inbound", "a").sum("backend_connect_failures_total") == 0);
  CHECK(books.of("inbound", "b").sum("backend_connect_failures_total") == 1);

  running.adopt("hostname: two.example.org\n" + head + inbound("c", "<2>", "gateway") + inbound("b", "<3>", "backend"));
  running.wait_for(2, "220 two.example.org");
  CHECK(to_a.command("XCLIENT ADDR=192.0.2.1").starts_with("550"));
  books = running.books();
  CHECK(books.of("inbound", "a").sum("rejections_total") == 2);
  CHECK(books.of("inbound", "b").sum("rejections_total") == 1);
  CHECK(books.of("inbound", "c").sum("rejections_total") == 0);
  CHECK(books.of("inbound", "c").sum("sessions_total") > 0);
}

TEST_CASE("worker: an outbound session is judged by the policies that it began with") {
  const TempDirectory directory;
  const std::string certificates = "certificates:\n  mx: [" + certificate_files(directory, "relay.example.org") + "]\n";
  const auto greeter = [](const std::string& name, const std::string& address) {
    return "inbound:\n  " + name + ": { listen: [\"" + address + "\"], greeting: gateway, certificates: [mx], " +
           std::string(backend) + " }\n";
  };
  // Says 250 to everything.
  const std::string script = directory.write(
      "server.sh", "printf '220 relay.example.org\\r\\n'; while read -r line; do printf '250 Ok\\r\\n'; done");
  Running relay("hostname: relay.example.org\n" + certificates +
                "inbound:\n  relay: { listen: [<1>], certificates: [mx], backend: { exec: [/bin/sh, " + script +
                "] } }\n");
  relay.wait_for(1, "220 relay.example.org");
  const auto outbound = [&](const std::string& host, const std::string& policy) {
    return "hostname: " + host + "\ndns: { servers: [\"127.0.0.1:1\"] }\n" + certificates + greeter("sign", "<2>") +
           "outbound:\n  out: { listen: [\"<1>\"], route: relay, dane: false, mta_sts: false, level: encrypt, "
           "policies: "
           "[" +
           policy + "],  relay: { address: \"127.0.0.1:" + std::to_string(relay.port(1)) + "\" } }\n";
  };
  const auto reply_to_recipient = [](Client& client) {
    client.command("MAIL FROM:<a@example.org>");
    return client.command("RCPT TO:<b@example.net>");
  };
  Running running(outbound(
      "one.example.org", "{ match: [example.net], level: fingerprint, fingerprints: [" + std::string(64, '0') + "] }"));
  running.wait_for(2, "220 one.example.org");
  Client before(running.port(1));
  REQUIRE(before.reply().starts_with("220"));
  REQUIRE(before.command("EHLO client.example").starts_with("250"));
  running.adopt(outbound("two.example.org", "{ match: [example.com], level: may }"));
  running.wait_for(2, "220 two.example.org");
  Client after(running.port(1));
  after.reply();
  after.command("EHLO client.example");
  // The relay's certificate is another than the listed one, which is no matter any more to who begins now.
  CHECK_THAT(reply_to_recipient(before), Catch::Matchers::StartsWith("451 4.7.5"));
  CHECK(reply_to_recipient(after) == "250 Ok");
  const observe::Books books = running.books();
  CHECK(books.sum("rejections_total", {"tls_failed"}) == 1);
  CHECK(books.sum("policy_decisions_total", {"local", "refused"}) == 1);
  CHECK(books.sum("policy_decisions_total", {"local", "satisfied"}) == 1);
  CHECK(books.sum("tls_handshakes_total", {"server", "TLSv1.3"}) >= 2);
  CHECK(books.sum("tls_handshakes_total", {"client"}) == 0);
}

TEST_CASE("worker: outbound listeners come, go and change places, and no session gets another's policies") {
  const TempDirectory directory;
  const std::string certificates = "certificates:\n  mx: [" + certificate_files(directory, "relay.example.org") + "]\n";
  const std::string script = directory.write(
      "server.sh", "printf '220 relay.example.org\\r\\n'; while read -r line; do printf '250 Ok\\r\\n'; done");
  Running relay("hostname: relay.example.org\n" + certificates +
                "inbound:\n  relay: { listen: [<1>], certificates: [mx], backend: { exec: [/bin/sh, " + script +
                "] } }\n");
  relay.wait_for(1, "220 relay.example.org");
  // `refused`: the domain for which another certificate is demanded than the relay has.
  const auto listener = [&](const std::string& name, const std::string& address, const std::string& refused) {
    return "  " + name + ": { listen: [\"" + address +
           "\"], route: relay, dane: false, mta_sts: false, level: encrypt, policies: [{ match: [" + refused +
           "], level: fingerprint, fingerprints: [" + std::string(64, '0') +
           "] }], relay: { address: \"127.0.0.1:" + std::to_string(relay.port(1)) + "\" } }\n";
  };
  const auto configuration = [&](const std::string& host, const std::string& outbound) {
    return "hostname: " + host + "\ndns: { servers: [\"127.0.0.1:1\"] }\n" + certificates +
           "inbound:\n  sign: { listen: [\"<2>\"], greeting: gateway, certificates: [mx], " + std::string(backend) +
           " }\noutbound:\n" + outbound;
  };
  const std::string none =
      "inbound:\n  sign: { listen: [\"<2>\"], greeting: gateway, certificates: [mx], " + std::string(backend) + " }\n";
  // The first ones come when there were none before.
  Running running("hostname: zero.example.org\n" + certificates + none);
  running.wait_for(2, "220 zero.example.org");
  running.adopt(
      configuration("one.example.org", listener("a", "<1>", "a.example") + listener("b", "<3>", "b.example")));
  running.wait_for(2, "220 one.example.org");
  struct Held {
    std::unique_ptr<Client> client;
    std::string refused;
  };
  std::vector<Held> held;
  const auto hold = [&](int port, const std::string& refused) {
    held.push_back({std::make_unique<Client>(running.port(port)), refused});
    held.back().client->reply();
    CHECK(held.back().client->command("EHLO client.example").starts_with("250"));
  };
  const auto judge_all = [&] {
    for (auto& [client, refused] : held) {
      CHECK(client->command("MAIL FROM:<x@example.org>").starts_with("250"));
      for (const std::string domain : {"a.example", "b.example", "c.example"}) {
        const std::string reply = client->command("RCPT TO:<x@" + domain + ">");
        INFO(refused << ", " << domain << ": " << reply);
        CHECK(reply.starts_with(domain == refused ? "451 4.7.5" : "250 Ok"));
      }
      CHECK(client->command("RSET").starts_with("250"));
    }
  };
  hold(1, "a.example");
  hold(3, "b.example");
  // In another order, and each with the other's address.
  running.adopt(
      configuration("two.example.org", listener("b", "<1>", "b.example") + listener("a", "<3>", "a.example")));
  running.wait_for(2, "220 two.example.org");
  hold(1, "b.example");
  hold(3, "a.example");
  judge_all();
  // One goes, another has its address and name.
  running.adopt(configuration("three.example.org", listener("b", "<3>", "c.example")));
  running.wait_for(2, "220 three.example.org");
  CHECK(running.greeting(1).empty());
  hold(3, "c.example");
  judge_all();
  // None is left, and the sessions live on.
  running.adopt("hostname: four.example.org\n" + certificates + none);
  running.wait_for(2, "220 four.example.org");
  judge_all();
}

}  // namespace worker_test
