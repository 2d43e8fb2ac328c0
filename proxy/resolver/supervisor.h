// Keeps a resolver process running for the gateway's threads: starts it, hears what it says, and starts another where
// it ends or is of no use.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/net/packet_socket.h"
#include "proxy/net/restart_pauses.h"
#include "proxy/net/timer.h"
#include "proxy/resolver/launch.h"

namespace postern::resolver {

class Supervisor final : private net::PacketSocket::Owner {
 public:
  struct News {
    enum class Kind : std::uint8_t {
      lost,             // it has ended; another one begins after `pause`
      back,             // another one has begun
      servers_changed,  // it asks others from now on
      trouble,
    };
    Kind kind = Kind::trouble;
    std::string text;
    std::chrono::milliseconds pause{0};
  };
  struct Means {
    net::Executable program;
    Settings settings;
    unsigned clients = 1;
    // Connections for all clients to the resolver numbered `run`; one that begins may be asked already.
    std::function<void(std::vector<UniqueFd> connections, std::uint64_t run)> connect;
    std::function<void(const News&)> tell;
  };
  // `loop` outlives it.
  Supervisor(net::Loop& loop, Means means);
  ~Supervisor();

  // Starts the first one, and waits until it serves.
  std::optional<Error> start();
  // Another one with these settings, from now on, follows at once. The one before ends when nobody asks it any more.
  void renew(Settings settings);
  // The clients have begun anew: `connect` is called with other connections, now, or when there is a resolver again.
  void connect_again();
  // A client says that this one is of no use. It goes, unless it has gone.
  void replace(std::uint64_t run, const std::string& why);
  // How many were lost.
  std::uint64_t losses() const { return losses_; }
  int pid() const { return launched_.process ? launched_.process->pid() : 0; }

 private:
  std::optional<Error> begin();
  void watch();
  void on_end_of_process(std::uint64_t run, const std::string& how);
  void begin_again();
  void lose(const std::string& why);
  void on_packet(std::string_view packet) override;
  void on_end(const std::string& why) override;

  net::Loop& loop_;
  Means means_;
  struct Leaving {
    std::uint64_t run = 0;
    std::unique_ptr<net::HelperProcess> process;
  };
  Launched launched_;
  std::vector<Leaving> leaving_;  // those that others have followed
  net::Timer farewell_;           // to those that do not leave
  std::unique_ptr<net::PacketSocket> control_;
  net::Timer timer_;
  std::uint64_t run_ = 0;
  std::uint64_t losses_ = 0;
  bool missed_ = false;  // one was lost, and none has said since that it is ready
  net::RestartPauses pauses_;
  std::string trouble_;  // the last that it said of itself
};

}  // namespace postern::resolver
