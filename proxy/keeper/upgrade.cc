#include "proxy/keeper/upgrade.h"

#include <sys/socket.h>

#include <chrono>
#include <cstdlib>
#include <utility>
#include <variant>

#include "proxy/process/service_manager.h"

namespace postern::keeper {

namespace {

constexpr int inherited = 3;
constexpr std::chrono::seconds patience_with_end(1);
constexpr const char* variable = "POSTERN_UPGRADE";
constexpr std::chrono::seconds patience_with_sockets(5);  // for each message: they have been sent already

std::vector<std::string> handed_environment() {
  auto variables = process::environment_of_successor();
  const std::string ours = std::string(variable) + "=";
  std::erase_if(variables, [&](const std::string& each) { return each.starts_with(ours); });
  variables.push_back(ours + std::to_string(inherited));
  return variables;
}

}  // namespace

Successor::Successor(net::Loop& loop, Owner& owner)
    : owner_(owner), patience_(loop.raw(), [this] { fail(trouble_); }) {}

Result<std::unique_ptr<Successor>> Successor::start(net::Loop& loop, const std::string& file,
                                                    const std::vector<std::string>& arguments,
                                                    std::chrono::milliseconds grace, Owner& owner) {
  auto pair = net::packet_pair();
  if (!pair) return tl::unexpected(pair.error());
  net::Descriptors theirs;
  theirs.push_back(std::move(pair->second));
  std::unique_ptr<Successor> successor(new Successor(loop, owner));
  auto process = net::HelperProcess::start(
      loop.raw(), file, arguments, handed_environment(), theirs,
      [self = successor.get()](const std::string& how) { self->fail("it has ended: " + how); });
  if (!process) return tl::unexpected(process.error());
  successor->process_ = std::move(*process);
  net::PacketSocket::Owner& hears = *successor;
  successor->socket_ = std::make_unique<net::PacketSocket>(loop.raw(), std::move(pair->first), max_message, hears);
  successor->patience_.start(grace);
  return successor;
}

Successor::~Successor() {
  if (!over_) process_->kill();
}

void Successor::send(const Order& order, net::Descriptors descriptors) {
  socket_->send(encode(order), std::move(descriptors));
}

void Successor::let_go() {
  over_ = true;
  patience_.stop();
  send(Commit{});
  process_->let_go();
}

void Successor::on_packet(std::string_view packet) {
  if (over_) return;
  const auto report = parse_report(packet);
  if (!report || !std::holds_alternative<Serving>(*report)) return fail("it does not say what a successor says");
  owner_.on_successor_serves();
}

void Successor::on_end(const std::string& why) {
  if (over_) return;
  trouble_ = why.empty() ? "it does not want our place" : why;
  patience_.start(patience_with_end);  // it says more by how it ends
}

void Successor::fail(const std::string& why) {
  if (std::exchange(over_, true)) return;
  process_->kill();
  owner_.on_successor_fails(why);
}

// --- in the new one

Result<std::unique_ptr<Predecessor>> Predecessor::meet(net::Loop& loop) {
  const char* const value = std::getenv(variable);
  if (value == nullptr) return nullptr;
  ::unsetenv(variable);  // it is nobody else's
  int type = 0;
  socklen_t size = sizeof type;
  const bool is_ours = std::to_string(inherited) == value &&
                       ::getsockopt(inherited, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
  if (!is_ours) return fail(Errc::invalid_argument, std::string(variable) + " is set by an upgrade, not by people");
  UniqueFd socket(inherited);
  std::unique_ptr<Predecessor> predecessor(new Predecessor);
  if (auto heard = predecessor->hear_all(socket); !heard) {
    return fail(heard.error().code, "taking over the sockets: " + heard.error().message);
  }
  net::PacketSocket::Owner& hears = *predecessor;
  predecessor->socket_ = std::make_unique<net::PacketSocket>(loop.raw(), std::move(socket), max_message, hears);
  return predecessor;
}

Result<void> Predecessor::hear_all(const UniqueFd& socket) {
  for (;;) {
    auto packet = net::receive_packet(socket, {max_message, max_descriptors}, patience_with_sockets);
    if (!packet) return tl::unexpected(packet.error());
    const auto order = parse_order(packet->octets, packet->descriptors.size());
    if (!order) return tl::unexpected(order.error());
    if (std::holds_alternative<Commit>(*order)) return {};
    const auto* const sockets = std::get_if<Sockets>(&*order);
    if (sockets == nullptr || sockets_.size() > max_sockets) return fail(Errc::protocol, "something else comes");
    if (auto taken = take(*sockets, std::move(packet->descriptors)); !taken) return taken;
  }
}

// What has no listener is known by where it is bound.
Result<void> Predecessor::take(const Sockets& order, net::Descriptors descriptors) {
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    const Sockets::Entry& entry = order.entries[i];
    if (entry.kind == Sockets::Kind::listening) {
      sockets_.push_back({entry.endpoint, entry.listener, std::move(descriptors[i])});
      continue;
    }
    auto endpoint = net::bound_to(descriptors[i]);
    if (!endpoint) return tl::unexpected(endpoint.error());
    sockets_.push_back({std::move(*endpoint), {}, std::move(descriptors[i])});
  }
  return {};
}

void Predecessor::serving(std::function<void()> on_place) {
  if (!socket_) return on_place();
  on_place_ = std::move(on_place);
  socket_->send(encode(Report(Serving{})));
}

void Predecessor::on_packet(std::string_view) {
  on_end({});
}

void Predecessor::on_end(const std::string&) {
  socket_.reset();
  if (const auto on_place = std::exchange(on_place_, {})) on_place();
}

}  // namespace postern::keeper
