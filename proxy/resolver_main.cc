// postern-resolver: DNS, and the system's names, for a gateway that has started it. Not for people.
//
// It is a process of its own since libunbound may bring OpenSSL, whose symbols collide with BoringSSL's, and since it
// reads what the network sends: it holds no key and no mail. Descriptor 3 leads to whoever started it, those from 4 on
// to the threads that ask. When 3 is closed it ends.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "proxy/dns/unbound_resolver.h"
#include "proxy/net/names.h"
#include "proxy/process/descriptors.h"
#include "proxy/process/file_limit.h"
#include "proxy/process/privileges.h"
#include "proxy/resolver/resolv_conf.h"
#include "proxy/resolver/server.h"

namespace {

using namespace postern;
using resolver::Report;

constexpr int control = 3;
constexpr unsigned most_clients = 4'096;
constexpr int settings_patience = 10'000;  // milliseconds

void say(const Report& report) {
  const std::string message = encode(report);
  if (::send(control, message.data(), message.size(), MSG_NOSIGNAL) < 0) std::_Exit(0);
}

[[noreturn]] void refuse(Report::Kind kind, const std::string& why) {
  say({kind, why});
  std::_Exit(1);
}

bool is_packet_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

// Descriptors 3 to 3 + clients are ours and no others.
bool take_descriptors(unsigned clients) {
  for (unsigned fd = control; fd <= control + clients; ++fd) {
    if (!is_packet_socket(static_cast<int>(fd)) || ::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC) != 0) {
      return false;
    }
  }
  process::close_from(static_cast<int>(control + clients + 1));
  return true;
}

Result<resolver::Settings> hear_settings() {
  std::vector<char> bytes(resolver::max_message + 1);
  pollfd readable{control, POLLIN, 0};
  if (::poll(&readable, 1, settings_patience) != 1) {
    return fail(Errc::timeout, "nobody says what is to be asked of whom");
  }
  const ssize_t size = ::recv(control, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size <= 0) std::_Exit(0);  // whoever started us is gone
  return resolver::parse_settings({bytes.data(), static_cast<std::size_t>(size)});
}

// Whoever started us: says nothing more but who else asks. Its end is ours, once those who ask have ended: a gateway
// may have mail under way that needs answers.
class Control final : public net::PacketSocket::Owner {
 public:
  Control(net::Loop& loop, resolver::Server& server)
      : server_(server),
        socket_(loop.raw(), UniqueFd(control),
                net::PacketSocket::Bounds{resolver::max_message, resolver::max_new_clients}, *this) {}

 private:
  void on_packet(std::string_view) override { std::_Exit(1); }
  void on_packet_with(std::string_view packet, net::Descriptors clients) override {
    if (!resolver::parse_new_clients(packet) || !std::ranges::all_of(clients, is_packet_socket, &UniqueFd::get)) {
      std::_Exit(1);
    }
    for (UniqueFd& client : clients) server_.serve(std::move(client));
  }
  // Without a look back: nothing is kept that somebody would miss, and a name that is being looked up holds nobody up.
  void on_end(const std::string&) override {
    server_.when_alone([] { std::_Exit(0); });
  }

  resolver::Server& server_;
  net::PacketSocket socket_;
};

[[noreturn]] void serve(unsigned clients) {
  auto settings = hear_settings();
  if (!settings) refuse(Report::Kind::servers_refused, settings.error().message);
  if (const auto dropped = process::drop_privileges({.user = settings->user}); !dropped) {
    refuse(Report::Kind::user_refused, dropped.error().message);
  }
  process::raise_file_limit();
  // Before there are threads.
  const auto sandbox = process::enter_sandbox({process::Sandbox::Of::resolver, settings->sandbox});
  net::Loop loop;
  net::SystemNames names(loop.raw());
  resolver::ResolvConf resolv_conf;
  resolver::Server server(loop, {[&loop](const auto& servers, const auto& anchor, config::Duration patience) {
                                   return dns::make_unbound_resolver(loop.raw(), {servers, anchor, patience});
                                 },
                                 names, [&resolv_conf] { return resolv_conf.changed(); }, say,
                                 [](const std::string& why) { refuse(Report::Kind::trouble, why); }});
  if (const auto refused = server.configure(std::move(*settings))) refuse(refused->kind, refused->text);
  for (unsigned client = 0; client < clients; ++client) server.serve(UniqueFd(static_cast<int>(control + 1 + client)));
  say({Report::Kind::ready, dns::unbound_version()});
  if (!sandbox.missing.empty()) {
    say({Report::Kind::trouble, "its sandbox is not as tight as it is to be: " + sandbox.missing});
  }
  const Control parent(loop, server);
  loop.run();
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  // A terminal and a service manager tell all processes; the gateway drains first, and ends us when it has ended.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR2, SIGPIPE}) std::signal(number, SIG_IGN);
  const std::string argument = argc == 2 ? argv[1] : "";
  if (argument == "--version") {
    std::printf("%s\n", dns::unbound_version().c_str());
    return 0;
  }
  ::prctl(PR_SET_NAME, "postern-resolver", 0, 0, 0);  // it is executed by a name that means nothing
  char* end = nullptr;
  const unsigned long clients = std::strtoul(argument.c_str(), &end, 10);
  if (argument.empty() || *end != '\0' || clients > most_clients || !take_descriptors(static_cast<unsigned>(clients))) {
    std::fprintf(stderr, "postern-resolver: is started by postern, and not by people\n");
    return 2;
  }
  serve(static_cast<unsigned>(clients));
}
