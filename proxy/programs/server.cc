#include "proxy/programs/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <unordered_map>
#include <utility>

#include "proxy/net/packet_socket.h"

namespace postern::programs {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t patience = 5'000;  // milliseconds, as with a session that ends
constexpr auto sweep_interval = 250ms;

// As the gateway makes them for programs: none that leads into the network, or to somebody else of ours.
bool is_socket(int fd) {
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
  size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && domain == AF_UNIX && type == SOCK_STREAM;
}

}  // namespace

// Reaped by the same thread that sends signals: the number is that of no other process.
class Server::Running final : public net::Child {
 public:
  Running(Server& server, pid_t pid) : server_(server), pid_(pid) {
    ++server_.running_;
    server_.reaper_.watch(pid_, [this](int) { on_exit(); });
  }
  ~Running() override {
    if (!exited_) server_.reaper_.forget(pid_);
    if (!exited_) --server_.running_;
  }
  void terminate() override { send(SIGTERM); }
  void kill() override { send(SIGKILL); }
  bool exited() const override { return exited_; }
  // Called last thing, and may destroy this.
  void tell(std::function<void()> on_end) { on_end_ = std::move(on_end); }

 private:
  void send(int signal) const {
    if (!exited_) ::kill(pid_, signal);
  }
  void on_exit() {
    exited_ = true;
    --server_.running_;
    if (const auto on_end = std::exchange(on_end_, nullptr)) on_end();
  }

  Server& server_;
  pid_t pid_;
  std::function<void()> on_end_;
  bool exited_ = false;
};

class Server::Connection final : private net::PacketSocket::Owner {
 public:
  Connection(Server& server, UniqueFd fd, OnBreach breach)
      : on_breach(std::move(breach)),
        server_(server),
        socket_(server.loop_.raw(), std::move(fd), {max_message, 1}, owner()) {}

  const OnBreach on_breach;

  // Those that run, whose end nobody is told any more.
  std::vector<std::unique_ptr<Running>> take() {
    std::vector<std::unique_ptr<Running>> programs;
    for (auto& [id, program] : std::exchange(programs_, {})) {
      program->tell(nullptr);
      programs.push_back(std::move(program));
    }
    return programs;
  }

 private:
  net::PacketSocket::Owner& owner() { return *this; }
  void on_packet(std::string_view packet) override { hear(packet, {}); }
  void on_packet_with(std::string_view packet, net::Descriptors descriptors) override { hear(packet, descriptors); }
  void on_end(const std::string& why) override { server_.drop(*this, why); }
  void on_drained() override { socket_.set_reading(true); }

  // Who does not read is not heard either.
  void say(const News& news) {
    socket_.send(encode(news));
    if (socket_.waiting() > 0) socket_.set_reading(false);
  }

  void hear(std::string_view packet, const net::Descriptors& descriptors) {
    const auto request = parse_request(packet);
    if (!request) return server_.drop(*this, request.error().message);
    if (const auto* order = std::get_if<Order>(&*request)) {
      if (!descriptors.empty()) return server_.drop(*this, "a signal brought a descriptor");
      return carry_out(*order);
    }
    const Start& start = std::get<Start>(*request);
    if (descriptors.size() != 1 || !is_socket(descriptors.front().get())) {
      return server_.drop(*this, "a program was to be started without a socket");
    }
    if (programs_.contains(start.id)) return server_.drop(*this, "a program was to be started twice");
    begin(start, descriptors.front().get());
  }

  void begin(const Start& start, int socket) {
    auto program = server_.start(start, socket);
    if (!program) return say({start.id, News::Kind::refused, program.error().message});
    (*program)->tell([this, id = start.id] {
      say({id, News::Kind::ended, {}});
      programs_.erase(id);
    });
    programs_[start.id] = std::move(*program);
    say({start.id, News::Kind::started, {}});
  }

  // It may have ended, which we have said.
  void carry_out(const Order& order) {
    const auto found = programs_.find(order.id);
    if (found == programs_.end()) return;
    order.what == Order::What::kill ? found->second->kill() : found->second->terminate();
  }

  Server& server_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Running>> programs_;
  net::PacketSocket socket_;
};

Server::Server(net::Loop& loop, net::Reaper& reaper, Means means)
    : loop_(loop), reaper_(reaper), means_(std::move(means)), sweeper_(loop.raw(), [this] { sweep(); }) {}

Server::~Server() {
  for (const auto& connection : connections_) {
    for (auto& program : connection->take()) program->kill();
  }
  dismissed_.kill_all();
}

void Server::offer(const std::string& name, std::vector<std::string> argv) {
  offered_[name] = std::move(argv);
}

void Server::connect(UniqueFd fd, OnBreach on_breach) {
  connections_.push_back(std::make_unique<Connection>(*this, std::move(fd), std::move(on_breach)));
}

Result<std::unique_ptr<Server::Running>> Server::start(const Start& start, int socket) {
  const auto found = offered_.find(start.listener);
  if (found == offered_.end()) return fail(Errc::not_found, "no program belongs to the listener");
  if (running_ >= means_.most) {
    return fail(Errc::limit_exceeded, std::to_string(running_) + " programs are under way, and no more can be");
  }
  process::Program program{found->second, {"PATH=" + means_.path}, socket};
  program.environment.insert(program.environment.end(), start.environment.begin(), start.environment.end());
  const auto child = process::spawn(program, means_.identity);
  if (!child) return tl::unexpected(child.error());
  return std::make_unique<Running>(*this, *child);
}

// Its own end of the connection goes last, as it may be the one that speaks.
void Server::drop(Connection& connection, const std::string& why) {
  const OnBreach on_breach = connection.on_breach;
  for (auto& program : connection.take()) dismissed_.take(std::move(program), loop_.now(), patience);
  std::erase_if(connections_, [&](const auto& each) { return each.get() == &connection; });
  if (!dismissed_.empty()) sweeper_.start(sweep_interval);
  if (!why.empty() && on_breach) on_breach(why);
}

void Server::sweep() {
  dismissed_.sweep(loop_.now());
  if (!dismissed_.empty()) sweeper_.start(sweep_interval);
}

}  // namespace postern::programs
