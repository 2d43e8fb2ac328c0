#include "proxy/keeper/gateway_process.h"

#include <utility>
#include <vector>

namespace postern::keeper {

namespace {
constexpr std::chrono::seconds patience_at_end(5);
constexpr std::chrono::seconds patience_with_heirs(1);  // whoever has its end of the connection, and is not it
constexpr std::size_t most_unread = 4'096;              // messages; a first snapshot has fewer
}  // namespace

std::vector<std::string> gateway_arguments(const process::Privileges& privileges) {
  std::vector<std::string> words = {"postern", "gateway"};
  if (!privileges.user.empty()) words.push_back("--user=" + privileges.user);
  if (privileges.identity) words.push_back("--identity=" + to_string(*privileges.identity));
  if (privileges.foreign_source_addresses) words.emplace_back("--foreign-addresses");
  if (privileges.marks_sockets) words.emplace_back("--socket-marks");
  if (privileges.sandbox.mode == config::SandboxMode::on) words.emplace_back("--sandbox");
  if (privileges.sandbox.mode == config::SandboxMode::log) words.emplace_back("--sandbox-log");
  if (!privileges.sandbox.directory.empty()) words.push_back("--directory=" + privileges.sandbox.directory);
  return words;
}

GatewayProcess::GatewayProcess(net::Loop& loop, Owner& owner)
    : owner_(owner), patience_(loop.raw(), [this] {
        if (how_.empty()) return kill();
        control_.reset();
        end_if_over();
      }) {}

Result<std::unique_ptr<GatewayProcess>> GatewayProcess::start(net::Loop& loop, const net::Executable& postern,
                                                              const process::Privileges& privileges, Owner& owner) {
  auto pair = net::packet_pair();
  if (!pair) return tl::unexpected(pair.error());
  net::Descriptors theirs;
  theirs.push_back(std::move(pair->second));
  const auto file = postern.name(4);
  if (!file) return tl::unexpected(file.error());
  std::unique_ptr<GatewayProcess> gateway(new GatewayProcess(loop, owner));
  auto process =
      net::HelperProcess::start(loop.raw(), *file, gateway_arguments(privileges), net::inherited_environment(), theirs,
                                [self = gateway.get()](const std::string& how) {
                                  self->how_ = how;
                                  if (self->control_) self->patience_.start(patience_with_heirs);
                                  self->end_if_over();
                                });
  if (!process) return tl::unexpected(process.error());
  gateway->process_ = std::move(*process);
  net::PacketSocket::Owner& hears = *gateway;
  gateway->control_ = std::make_unique<net::PacketSocket>(loop.raw(), std::move(pair->first), max_message, hears);
  return gateway;
}

void GatewayProcess::send(const Order& order, net::Descriptors descriptors) {
  if (!control_) return;
  control_->send(encode(order), std::move(descriptors));
  if (control_->waiting() < most_unread) return;
  trouble_ = "it does not hear what it is told";
  kill();
}

void GatewayProcess::on_packet(std::string_view packet) {
  const auto report = parse_report(packet);
  if (report) return owner_.on_report(*report);
  trouble_ = report.error().message;
  kill();
}

void GatewayProcess::on_end(const std::string& why) {
  if (trouble_.empty()) trouble_ = why;
  control_.reset();
  patience_.start(patience_at_end);
  end_if_over();
}

void GatewayProcess::end_if_over() {
  if (control_ || how_.empty()) return;
  patience_.stop();
  owner_.on_gateway_end(trouble_.empty() ? how_ : how_ + ": " + trouble_);
}

}  // namespace postern::keeper
