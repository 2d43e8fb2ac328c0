#include "proxy/signing/client.h"

#include <utility>

namespace postern::signing {

namespace {

constexpr std::chrono::milliseconds look_interval(1'000);

}  // namespace

class Client::Cancelling final : public tls::Signer::Ticket {
 public:
  explicit Cancelling(std::shared_ptr<Pending> pending) : pending_(std::move(pending)) {}
  ~Cancelling() override {
    pending_->on_answer = nullptr;
    leave_line(*pending_);
  }

 private:
  std::shared_ptr<Pending> pending_;
};

Client::Client(net::Loop& loop, Patience patience)
    : loop_(loop), patience_(patience), timer_(loop.raw(), [this] { look(); }) {}

// Nobody is called back any more.
Client::~Client() {
  for (const auto& pending : line_) pending->line = nullptr;
}

void Client::connect(UniqueFd fd, OnLost on_lost) {
  if (socket_) lose("the signer was replaced");
  on_lost_ = std::move(on_lost);
  net::PacketSocket::Owner& hears = *this;
  socket_ = std::make_unique<net::PacketSocket>(loop_.raw(), std::move(fd), max_answer, hears);
  if (on_change_) on_change_();
}

Result<std::unique_ptr<tls::Signer::Ticket>> Client::ask(const tls::KeyRequest& request, OnAnswer on_answer) {
  if (!socket_) return fail(Errc::temporary, "nobody signs now");
  if (hangs_) return fail(Errc::temporary, "the signer does not answer");
  if (line_.size() >= most_in_line) return fail(Errc::temporary, "too many signatures are under way");
  if (!std::exchange(looking_, true)) timer_.start(look_interval);
  auto pending = std::make_shared<Pending>();
  pending->on_answer = std::move(on_answer);
  pending->id = next_id_++;
  auto message = encode(Request{pending->id, request});
  if (sent_.size() < most_sent) {
    send(pending, std::move(message));
  } else {
    stand_in_line(pending, std::move(message));
  }
  return std::make_unique<Cancelling>(std::move(pending));
}

void Client::stand_in_line(std::shared_ptr<Pending> pending, std::string message) {
  Pending& last = *pending;
  last.message = std::move(message);
  last.since = loop_.now();
  last.line = &line_;
  last.place = line_.insert(line_.end(), std::move(pending));
}

void Client::leave_line(Pending& pending) {
  if (Line* const line = std::exchange(pending.line, nullptr)) line->erase(pending.place);
}

void Client::tell_failed(Pending& pending, const std::string& why) {
  if (const auto on_answer = std::exchange(pending.on_answer, nullptr)) on_answer(fail(Errc::temporary, why));
}

void Client::send(std::shared_ptr<Pending> pending, std::string message) {
  if (sent_.empty()) moved_ = loop_.now();
  sent_.push_back(std::move(pending));
  socket_->send(std::move(message));
}

void Client::send_more() {
  while (socket_ && !line_.empty() && sent_.size() < most_sent) {
    auto next = line_.front();
    leave_line(*next);
    auto message = std::move(next->message);
    send(std::move(next), std::move(message));
  }
}

void Client::on_packet(std::string_view packet) {
  auto answer = parse_answer(packet);
  if (!answer) return lose(answer.error().message);
  if (sent_.empty() || sent_.front()->id != answer->id) return lose("an answer that was not its turn");
  moved_ = loop_.now();
  const auto pending = std::move(sent_.front());
  sent_.pop_front();
  send_more();
  if (hangs_) change(false);
  const auto on_answer = std::exchange(pending->on_answer, nullptr);
  if (!on_answer) return;
  if (answer->status == Answer::Status::done) {
    on_answer(std::move(answer->octets));
  } else {
    on_answer(fail(Errc::temporary, std::string(to_string(answer->status))));
  }
}

void Client::on_end(const std::string& why) {
  lose(why);
}

void Client::fail_all(const std::string& why) {
  const auto waiting = sent_;  // whoever hears of it may ask again
  const auto behind = line_;
  for (const auto& pending : behind) leave_line(*pending);
  for (const auto& pending : waiting) tell_failed(*pending, why);
  for (const auto& pending : behind) tell_failed(*pending, why);
}

void Client::change(bool hangs) {
  hangs_ = hangs;
  if (on_change_) on_change_();
}

void Client::lose(const std::string& why) {
  socket_.reset();
  change(false);
  fail_all(why.empty() ? "the signer has ended" : "the signer was lost: " + why);
  sent_.clear();
  if (const auto on_lost = std::exchange(on_lost_, nullptr)) on_lost(why);
}

// For a signer that hangs, whose answers come yet, when it goes on; and for more requests than it can serve.
void Client::look() {
  looking_ = !sent_.empty();
  if (!looking_) return;
  timer_.start(look_interval);
  if (!hangs_ && loop_.now() - moved_ >= patience_.with_signer) {
    change(true);
    return fail_all("the signer does not answer");
  }
  fail_old();
}

void Client::fail_old() {
  Line old;
  while (!line_.empty() && loop_.now() - line_.front()->since >= patience_.in_line) {
    old.push_back(line_.front());
    leave_line(*old.back());
  }
  for (const auto& pending : old) tell_failed(*pending, "too many signatures were asked for before it");
}

}  // namespace postern::signing
