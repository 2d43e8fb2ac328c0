// The resolver's side: answers the questions of the gateway's threads, all from one cache.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/net/loop.h"
#include "proxy/net/names.h"
#include "proxy/net/packet_socket.h"
#include "proxy/resolver/messages.h"

namespace postern::resolver {

// How long a question may take, validation included.
inline constexpr config::Duration patience = std::chrono::seconds(10);
inline constexpr config::Duration patience_afresh = std::chrono::seconds(5);

class Server {
 public:
  struct Means {
    // Whoever asks these servers, and proves by that anchor; empty: proves nothing.
    std::function<Result<std::unique_ptr<dns::Resolver>>(const dns::NameServers&, const dns::TrustAnchor&,
                                                         config::Duration patience)>
        make;
    net::Names& system;
    // Those of /etc/resolv.conf, where they are others than when it was asked last. Asked at most every two seconds,
    // and only where Settings say so.
    std::function<Result<std::optional<dns::NameServers>>()> changed_servers;
    std::function<void(const Report&)> report;
    std::function<void(const std::string& why)> give_up;  // a gateway that breaks the protocol: nobody can be served
  };
  Server(net::Loop& loop, Means means);
  ~Server();

  // What is wrong with the settings. Before all else.
  std::optional<Report> configure(Settings settings);
  // Another of the gateway's connections.
  void serve(UniqueFd fd);
  // Told once, when none of the connections is left: at once, where there is none now.
  void when_alone(std::function<void()> tell);

 private:
  class Client;
  // Those who ask the present name servers; the ones of before end with the last question that they were asked.
  struct Generation {
    std::unique_ptr<dns::Resolver> proven, plain;
  };

  Result<std::shared_ptr<Generation>> make_generation(const dns::NameServers& servers) const;
  Result<std::unique_ptr<dns::Resolver>> make_afresh() const;
  void look_for_other_servers();
  void part_with(const Client& client);
  void end_of_turn();

  net::Loop& loop_;
  Means means_;
  Settings settings_;
  std::shared_ptr<Generation> present_;       // null: no name servers were given
  std::vector<std::shared_ptr<void>> ended_;  // must not go while it calls back: freed at the end of the turn
  std::vector<std::unique_ptr<Client>> clients_;
  std::size_t afresh_ = 0;       // under way
  std::uint64_t next_look_ = 0;  // loop time
  std::function<void()> alone_;
  bool complained_ = false;  // of a resolv.conf that cannot be read
};

}  // namespace postern::resolver
