// The process that was started: reads the configuration and what it names, binds, starts the gateway and its resolver,
// and watches over them. Not one octet of a peer is read here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/keeper/control.h"
#include "proxy/keeper/gateway_process.h"
#include "proxy/keeper/guard.h"
#include "proxy/keeper/listening.h"
#include "proxy/keeper/prepared.h"
#include "proxy/keeper/reloader.h"
#include "proxy/keeper/renewal.h"
#include "proxy/keeper/service.h"
#include "proxy/keeper/signers.h"
#include "proxy/keeper/upgrade.h"
#include "proxy/net/executable.h"
#include "proxy/net/loop.h"
#include "proxy/net/reaper.h"
#include "proxy/net/restart_pauses.h"
#include "proxy/net/signal.h"
#include "proxy/net/timer.h"
#include "proxy/programs/server.h"
#include "proxy/resolver/client.h"
#include "proxy/resolver/supervisor.h"

namespace postern::keeper {

class Keeper final : private GatewayProcess::Owner, private Successor::Owner {
 public:
  explicit Keeper(std::string configuration);
  ~Keeper();

  // Until SIGTERM or SIGINT and the draining that follows (a second one stops at once); returns the exit status. A
  // start that fails has said why.
  int run();

 private:
  bool begin();
  std::optional<Error> start_resolver();
  void on_swapped();
  std::optional<Error> start_gateway();
  std::optional<Error> connect_programs(const config::Settings& settings, std::uint32_t version);
  std::optional<Error> send_snapshot();
  std::optional<Error> send_signers();
  void send_connections(Sockets::Kind kind, std::uint32_t version, std::vector<UniqueFd> connections);
  Reloader::Means means_of_reloader();
  void reload(const Reloader::OnOutcome& on_outcome);
  std::optional<Error> announce(const Prepared& next, std::uint32_t version);
  void withdraw(std::uint32_t version);
  void send(const Order& order, net::Descriptors descriptors = {});
  void on_silence();
  std::optional<Error> start_control();
  void connect_resolver(std::vector<UniqueFd> connections, std::uint64_t run);
  void tell_counts();
  void note(Event::Kind kind, std::string text);
  void on_signal(int number);
  bool ask_gateway();
  Result<void> inherit(const config::Settings& settings);
  void say_ready();
  void upgrade();
  void on_successor_serves() override;
  void on_successor_fails(const std::string& why) override;
  void stop();
  void drain();
  void stop_at_once();
  void on_report(const Report& report) override;
  void hear(const Serving& report);
  void hear(const Refused& report);
  void hear(const ResolverUseless& report);
  void hear(const Retired& report);
  void hear(const Alive& report) { service_.hear(report); }
  void hear(const SignerLost& report);
  void hear(const Stopped& report);
  void on_gateway_end(const std::string& how) override;
  void start_gateway_again();
  void lose_gateway(const std::string& why);

  std::string configuration_;
  net::Loop loop_;
  net::Reaper reaper_;
  Service service_;
  std::vector<std::unique_ptr<net::Signal>> signals_;
  std::optional<net::Executable> postern_;
  resolver::Client lookups_{loop_};  // our own: of TLSA records
  std::unique_ptr<dns::Resolver> names_ = lookups_.resolver(resolver::How::proven);
  Guard guard_{*names_, [this] { return loop_.now(); }};
  std::optional<Prepared> present_;
  unsigned workers_ = 1;
  std::optional<Renewal> renewal_;  // of `present_`, once there is one
  std::optional<Listening> listening_;
  std::optional<Reloader> reloader_;
  std::unique_ptr<Control> control_;                // null: there is none
  std::unique_ptr<resolver::Supervisor> resolver_;  // null: nothing is looked up
  std::string resolver_knows_;                      // its settings
  Signers signers_;
  Pending::Certificates told_;                  // what the gateway knows of them
  std::vector<Event> events_;                   // the last ones
  bool programs_connected_ = false;             // the gateway's workers are
  std::unique_ptr<programs::Server> programs_;  // null: none is started
  programs::Server::Offers programs_before_;    // that what is tried knows of them
  std::unique_ptr<GatewayProcess> gateway_;     // null: there is none now
  net::RestartPauses pauses_;
  net::Timer restart_;
  net::Timer last_resort_;  // what is told to stop and does not is killed
  net::Timer silence_;      // a snapshot was sent, and there is no word yet of what became of it
  net::Timer delay_;        // between saying that we stop and stopping
  std::string refusal_;     // why this gateway would not serve
  std::uint64_t losses_ = 0;
  bool has_served_ = false;                        // the start is over
  std::string file_ = process::path_of_program();  // which an upgrade executes
  std::unique_ptr<Predecessor> predecessor_;       // null: nobody's place is taken
  std::unique_ptr<Successor> successor_;           // null: nobody takes ours
  bool superseded_ = false;                        // somebody has
  bool activated_ = false;                         // the service manager has made sockets for us, and keeps them
  bool ending_ = false;
  bool stopping_ = false;  // at once
  bool drained_ = false;
  int status_ = 0;
};

}  // namespace postern::keeper
