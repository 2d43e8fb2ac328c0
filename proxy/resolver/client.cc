#include "proxy/resolver/client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/dns/records.h"

namespace postern::resolver {

namespace {

using namespace std::chrono_literals;

// The resolver has patience of its own, and answers before; this is for one that hangs.
constexpr std::uint64_t longest = 15'000;
constexpr std::uint64_t longest_afresh = 10'000;
constexpr std::uint64_t longest_system = 60'000;      // getaddrinfo has its own; a session gives up before
constexpr std::uint64_t longest_unconnected = 2'000;  // another resolver is there within a second
constexpr auto sweep_interval = 250ms;

std::uint64_t patience_for(How how) {
  switch (how) {
    case How::proven:
    case How::plain: return longest;
    case How::afresh: return longest_afresh;
    case How::system: return longest_system;
  }
  return longest;
}

Result<std::vector<config::IpAddress>> to_addresses(const dns::Answer& answer) {
  if (answer.absent()) return fail(Errc::not_found, "the name has no address");
  if (!answer.exists()) return fail(Errc::temporary, answer.reason);
  std::vector<config::IpAddress> addresses;
  for (const std::string& rdata : answer.rdata) {
    auto address = dns::parse_address(rdata.size() == 4 ? dns::Type::a : dns::Type::aaaa, rdata);
    if (address && addresses.size() < max_system_addresses) addresses.push_back(*address);
  }
  if (addresses.empty()) return fail(Errc::temporary, "no usable answer");
  return addresses;
}

dns::Answer unasked(std::string why) {
  dns::Answer answer = dns::failure(std::move(why));
  answer.unasked = true;
  return answer;
}

}  // namespace

class Client::Ticket final : public dns::Lookup, public net::NameLookup {
 public:
  explicit Ticket(RequestPtr request) : request_(std::move(request)) {}
  ~Ticket() override { request_->callback = nullptr; }

 private:
  RequestPtr request_;
};

class Client::Way final : public dns::Resolver {
 public:
  Way(Client& client, How how) : client_(client), how_(how) {}
  std::unique_ptr<dns::Lookup> lookup(const dns::Question& question, Callback callback) override {
    return std::make_unique<Ticket>(client_.ask(how_, question, std::move(callback)));
  }

 private:
  Client& client_;
  How how_;
};

Client::Client(net::Loop& loop)
    : loop_(loop), ready_timer_(loop.raw(), [this] { deliver(); }), deadline_timer_(loop.raw(), [this] { expire(); }) {}

// Nobody is called back any more.
Client::~Client() = default;

std::unique_ptr<dns::Resolver> Client::resolver(How how) {
  return std::make_unique<Way>(*this, how);
}

std::unique_ptr<net::NameLookup> Client::look_up(const std::string& name, net::Names::Callback callback) {
  const auto hear = [heard = std::move(callback)](const dns::Answer& answer) { heard(to_addresses(answer)); };
  return std::make_unique<Ticket>(ask(How::system, {name, dns::Type::a}, hear));
}

void Client::connect(UniqueFd fd, OnTrouble on_trouble) {
  if (socket_) ask_anew("the resolver was replaced");
  on_trouble_ = std::move(on_trouble);
  last_heard_ = loop_.now();
  net::PacketSocket::Owner& hears = *this;
  socket_ = std::make_unique<net::PacketSocket>(loop_.raw(), std::move(fd), max_message, hears);
  for (const auto& [id, request] : open_) send(*request);
}

Client::RequestPtr Client::ask(How how, const dns::Question& question, dns::Resolver::Callback callback) {
  const std::uint64_t now = loop_.now();
  auto request = std::make_shared<Request>(Request{{0, how, question}, std::move(callback), {}, now, 0, false, false});
  if (auto known = cache_.get(how, question, now)) {
    finish(request, std::move(*known));
  } else if (!can_be_asked(question)) {
    finish(request, dns::failure("not a name that can be asked for"));
  } else if (open_.size() >= max_questions) {
    finish(request, unasked("too many questions are under way"));
  } else {
    while (open_.contains(next_id_)) ++next_id_;
    request->question.id = next_id_++;
    request->deadline = now + longest_unconnected;
    if (open_.empty()) deadline_timer_.start(sweep_interval);
    open_[request->question.id] = request;
    if (socket_) send(*request);
  }
  return request;
}

void Client::send(Request& request) {
  request.sent = true;
  request.asked = loop_.now();
  request.deadline = request.asked + patience_for(request.question.how);
  socket_->send(encode(request.question));
}

void Client::finish(const RequestPtr& request, dns::Answer answer) {
  if (!request->callback) return;
  request->answer = std::move(answer);
  ready_.push_back(request);
  if (ready_.size() == 1) ready_timer_.start(0ms);
}

void Client::deliver() {
  for (const auto& request : std::exchange(ready_, {})) {
    if (const auto callback = std::exchange(request->callback, nullptr)) callback(request->answer);
  }
}

void Client::on_packet(std::string_view packet) {
  auto heard = parse_answer(packet);
  if (!heard) return lose(heard.error().message);
  last_heard_ = loop_.now();
  const auto open = open_.find(heard->id);
  if (open == open_.end()) return;  // it came too late
  const RequestPtr request = std::move(open->second);
  open_.erase(open);
  cache_.put(request->question.how, request->question.question, heard->answer, last_heard_);
  finish(request, std::move(heard->answer));
}

void Client::on_end(const std::string& why) {
  lose(why);
}

void Client::lose(const std::string& why) {
  socket_.reset();
  ask_anew(why.empty() ? "the resolver has ended" : "the resolver was lost: " + why);
  if (const auto on_trouble = std::exchange(on_trouble_, nullptr)) on_trouble(why);
}

// What nobody was asked yet waits for its own time.
void Client::ask_anew(const std::string& why) {
  const std::uint64_t until = loop_.now() + longest_unconnected;
  std::erase_if(open_, [&](const auto& entry) {
    Request& request = *entry.second;
    if (!request.sent) return false;
    if (!std::exchange(request.twice, true)) {
      request.sent = false;
      request.deadline = until;
      return false;
    }
    finish(entry.second, unasked(why));
    return true;
  });
}

void Client::expire() {
  const std::uint64_t now = loop_.now();
  bool hangs = false;
  std::erase_if(open_, [&](const auto& entry) {
    const Request& request = *entry.second;
    if (request.deadline > now) return false;
    hangs = hangs || (request.sent && request.question.how != How::system && last_heard_ < request.asked);
    finish(entry.second, unasked(request.sent ? "no answer in time" : "there is no resolver now"));
    return true;
  });
  if (hangs && socket_) lose("it does not answer");
  if (!open_.empty()) deadline_timer_.start(sweep_interval);
}

}  // namespace postern::resolver
