#include "proxy/programs/client.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace postern::programs {

struct Client::Program::State {
  std::uint32_t id = 0;
  net::PacketSocket* keeper = nullptr;  // null: nobody is to be told
  OnStarted on_started;                 // empty: called, or nobody waits for it
  UniqueFd socket;                      // until it has started
  bool exited = false;
};

Client::Program::~Program() {
  give_up();
}

void Client::Program::give_up() {
  state_->on_started = nullptr;
  state_->socket = UniqueFd();
}

void Client::Program::order(Order::What what) {
  if (!state_->exited && state_->keeper != nullptr) state_->keeper->send(encode(Order{state_->id, what}));
}
void Client::Program::terminate() {
  order(Order::What::terminate);
}
void Client::Program::kill() {
  order(Order::What::kill);
}
bool Client::Program::exited() const {
  return state_->exited;
}

Client::Client(net::Loop& loop) : loop_(loop) {}

// Nobody is called back any more.
Client::~Client() {
  for (const auto& [id, state] : open_) state->keeper = nullptr;
}

void Client::connect(UniqueFd fd) {
  lose("the keeper was replaced");
  net::PacketSocket::Owner& hears = *this;
  socket_ = std::make_unique<net::PacketSocket>(loop_.raw(), std::move(fd), max_message, hears);
}

Result<std::unique_ptr<Client::Program>> Client::start(const std::string& listener,
                                                       const std::vector<std::string>& environment,
                                                       OnStarted on_started) {
  if (!socket_) return fail(Errc::temporary, "no program can be started: " + why_);
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(Errc::io, std::string("socketpair: ") + std::strerror(errno));
  }
  UniqueFd ours(pair[0]);
  net::Descriptors theirs;
  theirs.emplace_back(pair[1]);
  while (open_.contains(next_id_)) ++next_id_;
  auto message = encode(Start{next_id_, listener, environment});
  if (!message) return tl::unexpected(message.error());
  const auto state = std::make_shared<Program::State>();
  state->id = next_id_++;
  state->keeper = socket_.get();
  state->on_started = std::move(on_started);
  state->socket = std::move(ours);
  open_[state->id] = state;
  socket_->send(std::move(*message), std::move(theirs));
  return std::unique_ptr<Program>(new Program(state));
}

void Client::on_packet(std::string_view packet) {
  const auto news = parse_news(packet);
  if (!news) return lose(news.error().message);
  const auto open = open_.find(news->id);
  if (open == open_.end()) return lose("it speaks of a program that there is not");
  const StatePtr state = open->second;
  if (news->kind == News::Kind::started) return tell(state, open_socket(*state));
  open_.erase(open);
  state->exited = true;
  // One that has ended was told to have started before.
  tell(state, fail(Errc::refused, news->kind == News::Kind::refused ? news->text : "it has ended"));
}

Result<net::StreamPtr> Client::open_socket(Program::State& state) {
  if (state.socket.get() < 0) return fail(Errc::closed, "nobody waits for it");
  net::StreamPtr stream = net::make_pipe(loop_.raw());
  const int opened = uv_pipe_open(reinterpret_cast<uv_pipe_t*>(stream.get()), state.socket.get());
  if (opened != 0) return fail(Errc::io, std::string("a program's socket: ") + uv_strerror(opened));
  state.socket.release();
  return stream;
}

void Client::tell(const StatePtr& state, Result<net::StreamPtr> socket) {
  if (const auto on_started = std::exchange(state->on_started, nullptr)) on_started(std::move(socket));
}

void Client::on_end(const std::string& why) {
  lose(why.empty() ? "the keeper has gone" : why);
}

// Each that is told may give up others.
void Client::lose(const std::string& why) {
  why_ = why;
  socket_.reset();
  const auto lost = std::exchange(open_, {});
  for (const auto& [id, state] : lost) {
    state->exited = true;
    state->keeper = nullptr;
  }
  for (const auto& [id, state] : lost) tell(state, fail(Errc::temporary, "no program can be started: " + why));
}

}  // namespace postern::programs
