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

Client::Client(net::Loop& loop) : loop_(loop), timer_(loop.raw(), [this] { look(); }) {}

// Nobody is called back any more.
Client::~Client() = default;

void Client::connect(UniqueFd fd, OnLost on_lost) {
  if (socket_) lose("the signer was replaced");
  on_lost_ = std::move(on_lost);
  net::PacketSocket::Owner& hears = *this;
  socket_ = std::make_unique<net::PacketSocket>(loop_.raw(), std::move(fd), max_answer, hears);
}

Result<std::unique_ptr<tls::Signer::Ticket>> Client::ask(const tls::KeyRequest& request, OnAnswer on_answer) {
  if (!socket_) return fail(Errc::temporary, "nobody signs now");
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

void Client::lose(const std::string& why) {
  socket_.reset();
  const std::string told = why.empty() ? "the signer has ended" : "the signer was lost: " + why;
  for (const auto& pending : std::exchange(pending_, {})) {
    if (const auto on_answer = std::exchange(pending->on_answer, nullptr)) on_answer(fail(Errc::temporary, told));
  }
  if (const auto on_lost = std::exchange(on_lost_, nullptr)) on_lost(why);
}

// For a signer that hangs.
void Client::look() {
  looking_ = !pending_.empty();
  if (!looking_) return;
  timer_.start(look_interval);
  if (loop_.now() - moved_ >= patience) lose("it does not answer");
}

}  // namespace postern::signing
