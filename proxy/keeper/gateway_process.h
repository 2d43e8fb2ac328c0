// A gateway that the keeper has started: what it is told, what it says, and that it has ended.
#pragma once

#include <memory>
#include <string>

#include "config/result.h"
#include "proxy/keeper/messages.h"
#include "proxy/net/executable.h"
#include "proxy/net/helper_process.h"
#include "proxy/net/loop.h"
#include "proxy/net/packet_socket.h"
#include "proxy/net/timer.h"
#include "proxy/process/privileges.h"

namespace postern::keeper {

class GatewayProcess final : private net::PacketSocket::Owner {
 public:
  // Each may destroy the process.
  class Owner {
   public:
    virtual void on_report(const Report& report) = 0;
    // Once, after all that it has said. `how` as net::HelperProcess has it.
    virtual void on_gateway_end(const std::string& how) = 0;

   protected:
    ~Owner() = default;
  };

  // `postern` is executed afresh, and becomes who `privileges` says before it reads anything. `loop` and `owner`
  // outlive it.
  static Result<std::unique_ptr<GatewayProcess>> start(net::Loop& loop, const net::Executable& postern,
                                                       const process::Privileges& privileges, Owner& owner);

  void send(const Order& order, net::Descriptors descriptors = {});
  void kill() { process_->kill(); }
  int pid() const { return process_->pid(); }

 private:
  GatewayProcess(net::Loop& loop, Owner& owner);
  void on_packet(std::string_view packet) override;
  void on_end(const std::string& why) override;
  void end_if_over();

  Owner& owner_;
  net::Timer patience_;  // with one that listens no more and does not end
  std::unique_ptr<net::HelperProcess> process_;
  std::unique_ptr<net::PacketSocket> control_;  // null: it has closed its end, or is not believed any more
  std::string trouble_;
  std::string how_;  // empty: it has not ended
};

// Its command line: what it does with its rights.
std::vector<std::string> gateway_arguments(const process::Privileges& privileges);

}  // namespace postern::keeper
