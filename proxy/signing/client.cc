#include "proxy/signing/client.h"

#include <utility>

namespace postern::signing {

namespace {

constexpr std::chrono::milliseconds look_interval(1'000);

}  // namespace

class Client::Cancelling final : public tls::Signer::Ticket {
 public:
  explicit Cancelling(std::shared_ptr<Pending> pending) : pending_(std::move(pending)) {}
  ~Cancelling() override { pending_->on_answer = nullptr; }

 private:
  std::shared_ptr<Pending> pending_;
};

Client::Client(net::Loop& loop, std::uint64_t for_how_long)
    : loop_(loop), patience_(for_how_long), timer_(loop.raw(), [this] { look(); }) {}

// Nobody is called back any more.
Client::~Client() = default;

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
  if (pending_.size() >= most_under_way) return fail(Errc::temporary, "too many signatures are under way");
  if (pending_.empty()) moved_ = loop_.now();
  if (!std::exchange(looking_, true)) timer_.start(look_interval);
  auto pending = std::make_shared<Pending>(Pending{next_id_++, std::move(on_answer)});
  pending_.push_back(pending);
  socket_->send(encode(Request{pending->id, request}));
  return std::make_unique<Cancelling>(std::move(pending));
}

void Client::on_packet(std::string_view packet) {
  auto answer = parse_answer(packet);
  if (!answer) return lose(answer.error().message);
  if (pending_.empty() || pending_.front()->id != answer->id) return lose("an answer that was not its turn");
  moved_ = loop_.now();
  const auto pending = std::move(pending_.front());
  pending_.pop_front();
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
  const auto waiting = pending_;  // whoever hears of it may ask again
  for (const auto& pending : waiting) {
    if (const auto on_answer = std::exchange(pending->on_answer, nullptr)) on_answer(fail(Errc::temporary, why));
  }
}

void Client::change(bool hangs) {
  hangs_ = hangs;
  if (on_change_) on_change_();
}

void Client::lose(const std::string& why) {
  socket_.reset();
  change(false);
  fail_all(why.empty() ? "the signer has ended" : "the signer was lost: " + why);
  pending_.clear();
  if (const auto on_lost = std::exchange(on_lost_, nullptr)) on_lost(why);
}

// For a signer that hangs. Its answers come yet, when it goes on.
void Client::look() {
  looking_ = !pending_.empty();
  if (!looking_) return;
  timer_.start(look_interval);
  if (hangs_ || loop_.now() - moved_ < patience_) return;
  change(true);
  fail_all("the signer does not answer");
}

}  // namespace postern::signing
