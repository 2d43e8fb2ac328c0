#include "proxy/resolver/server.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "proxy/dns/records.h"

namespace postern::resolver {

namespace {

constexpr std::size_t most_afresh = 32;         // each is a resolver of its own
constexpr std::uint64_t look_interval = 2'000;  // milliseconds

dns::Answer to_answer(const Result<std::vector<config::IpAddress>>& found) {
  if (!found && found.error().code != Errc::not_found) return dns::failure(found.error().message);
  dns::Answer answer;
  answer.status = found ? dns::Status::exists : dns::Status::no_such_name;
  if (!found) return answer;
  for (const config::IpAddress& address : *found) {
    const std::size_t size = address.family == config::IpAddress::Family::v4 ? 4 : 16;
    answer.rdata.emplace_back(reinterpret_cast<const char*>(address.bytes.data()), size);
  }
  return answer;
}

}  // namespace

// One connection and what is asked on it.
class Server::Client final : public net::PacketSocket::Owner {
 public:
  Client(Server& server, UniqueFd fd)
      : server_(server), socket_(server.loop_.raw(), std::move(fd), max_message, *this) {}
  ~Client() {
    for (const auto& [id, open] : open_) server_.afresh_ -= open.afresh ? 1 : 0;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

 private:
  struct Open {
    std::shared_ptr<void> keeps;  // who was asked
    bool afresh = false;
    std::unique_ptr<dns::Lookup> lookup;
    std::unique_ptr<net::NameLookup> name;
  };

  void on_packet(std::string_view packet) override;
  void on_end(const std::string&) override { server_.part_with(*this); }
  void on_drained() override { socket_.set_reading(true); }
  void ask(const Question& question);
  void ask_afresh(const Question& question);
  void answer(std::uint32_t id, const dns::Answer& answer);

  Server& server_;
  std::unordered_map<std::uint32_t, Open> open_;
  net::PacketSocket socket_;
};

void Server::Client::on_packet(std::string_view packet) {
  const auto question = parse_question(packet);
  if (!question) return server_.means_.give_up(question.error().message);
  if (open_.contains(question->id)) return server_.means_.give_up("two questions have the same number");
  if (open_.size() >= max_questions) return answer(question->id, dns::failure("too many questions are under way"));
  server_.look_for_other_servers();
  ask(*question);
}

void Server::Client::ask(const Question& question) {
  const std::uint32_t id = question.id;
  if (question.how == How::afresh) return ask_afresh(question);
  Open& open = open_[id];
  if (question.how == How::system) {
    open.name = server_.means_.system.look_up(question.question.name,
                                              [this, id](const auto& found) { answer(id, to_answer(found)); });
    return;
  }
  const auto& generation = server_.present_;
  if (!generation) return answer(id, dns::failure("no DNS servers are given"));
  dns::Resolver& resolver = question.how == How::proven ? *generation->proven : *generation->plain;
  open.keeps = generation;
  open.lookup = resolver.lookup(question.question, [this, id](const dns::Answer& found) { answer(id, found); });
}

void Server::Client::ask_afresh(const Question& question) {
  const std::uint32_t id = question.id;
  if (server_.afresh_ >= most_afresh) return answer(id, dns::failure("too many questions are under way"));
  auto made = server_.make_afresh();
  if (!made) return answer(id, dns::failure(made.error().message));
  const std::shared_ptr<dns::Resolver> resolver = std::move(*made);
  ++server_.afresh_;
  Open& open = open_[id];
  open.afresh = true;
  open.keeps = resolver;
  open.lookup = resolver->lookup(question.question, [this, id](const dns::Answer& found) { answer(id, found); });
}

void Server::Client::answer(std::uint32_t id, const dns::Answer& found) {
  socket_.send(encode(Answer{id, found}));
  // Who does not hear is not listened to either.
  if (socket_.waiting() > 0) socket_.set_reading(false);
  auto open = open_.extract(id);
  if (open.empty()) return;
  if (open.mapped().afresh) --server_.afresh_;
  if (open.mapped().keeps) server_.ended_.push_back(std::move(open.mapped().keeps));
}

Server::Server(net::Loop& loop, Means means) : loop_(loop), means_(std::move(means)) {
  loop_.at_end_of_turn([this] { end_of_turn(); });
}

Server::~Server() {
  loop_.at_end_of_turn(nullptr);
  clients_.clear();
}

// A thread of the gateway's has ended; others go on.
void Server::part_with(const Client& client) {
  const auto found = std::ranges::find(clients_, &client, &std::unique_ptr<Client>::get);
  ended_.emplace_back(std::move(*found));
  clients_.erase(found);
  if (clients_.empty() && alone_) std::exchange(alone_, nullptr)();
}

void Server::when_alone(std::function<void()> tell) {
  if (clients_.empty()) return tell();
  alone_ = std::move(tell);
}

void Server::end_of_turn() {
  std::exchange(ended_, {}).clear();
}

std::optional<Report> Server::configure(Settings settings) {
  settings_ = std::move(settings);
  const bool asks = settings_.servers.recursive || !settings_.servers.servers.empty();
  if (!asks) return std::nullopt;
  auto made = make_generation(settings_.servers);
  if (!made) {
    const bool without_anchor = settings_.trust_anchor.empty();
    return Report{without_anchor ? Report::Kind::servers_refused : Report::Kind::anchor_refused, made.error().message};
  }
  present_ = std::move(*made);
  return std::nullopt;
}

void Server::serve(UniqueFd fd) {
  clients_.push_back(std::make_unique<Client>(*this, std::move(fd)));
}

Result<std::shared_ptr<Server::Generation>> Server::make_generation(const dns::NameServers& servers) const {
  auto generation = std::make_shared<Generation>();
  auto plain = means_.make(servers, {}, patience);
  auto proven = means_.make(servers, settings_.trust_anchor, patience);
  if (!proven || !plain) return tl::unexpected((proven ? plain : proven).error());
  generation->proven = std::move(*proven);
  generation->plain = std::move(*plain);
  return generation;
}

Result<std::unique_ptr<dns::Resolver>> Server::make_afresh() const {
  return means_.make(settings_.servers, settings_.trust_anchor, patience_afresh);
}

// When somebody asks, and not before: who sleeps needs no name servers.
void Server::look_for_other_servers() {
  const std::uint64_t now = loop_.now();
  if (!settings_.follow_resolv_conf || now < next_look_) return;
  next_look_ = now + look_interval;
  auto found = means_.changed_servers();
  if (!found) {
    if (!std::exchange(complained_, true)) means_.report({Report::Kind::trouble, found.error().message});
    return;
  }
  complained_ = false;
  if (!*found || (*found)->servers == settings_.servers.servers) return;
  auto made = make_generation(**found);
  if (!made) return means_.report({Report::Kind::trouble, made.error().message});
  settings_.servers = std::move(**found);
  if (present_) ended_.push_back(std::exchange(present_, std::move(*made)));
  means_.report({Report::Kind::servers_changed, dns::addresses(settings_.servers)});
}

}  // namespace postern::resolver
