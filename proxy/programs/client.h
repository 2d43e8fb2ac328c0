// A worker's way to its programs: it has them started by the keeper, hears what became of that, and says how they end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/net/child_reaper.h"
#include "proxy/net/handle.h"
#include "proxy/net/loop.h"
#include "proxy/net/packet_socket.h"
#include "proxy/programs/messages.h"

namespace postern::programs {

class Client final : private net::PacketSocket::Owner {
 public:
  // Nobody starts any yet.
  explicit Client(net::Loop& loop);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // From now on the keeper is there. Where that ends, what is about to start has failed at once, as does all that is
  // asked for later; programs that run go on, and nobody will say when they have ended.
  void connect(UniqueFd fd);

  // Our end of its socket, or why there is no program.
  using OnStarted = std::function<void(Result<net::StreamPtr> socket)>;
  // A program under way, or about to be. Where it is destroyed before it has ended, nobody here waits for that.
  class Program final : public net::Child {
   public:
    ~Program() override;
    void terminate() override;
    void kill() override;
    // It has ended, or was never started, or nobody can say.
    bool exited() const override;
    // Nobody waits for its start any more; should it come to that, it finds the end of its input.
    void give_up();

   private:
    friend class Client;
    struct State;
    explicit Program(std::shared_ptr<State> state) : state_(std::move(state)) {}
    void order(Order::What what);
    std::shared_ptr<State> state_;
  };
  // Of the listener `inbound.NAME`, with these variables and PATH. `on_started` is called once, later, unless the
  // program was given up or destroyed; it may do either.
  Result<std::unique_ptr<Program>> start(const std::string& listener, const std::vector<std::string>& environment,
                                         OnStarted on_started);

 private:
  using StatePtr = std::shared_ptr<Program::State>;
  Result<net::StreamPtr> open_socket(Program::State& state);
  void tell(const StatePtr& state, Result<net::StreamPtr> socket);
  void lose(const std::string& why);
  void on_packet(std::string_view packet) override;
  void on_end(const std::string& why) override;

  net::Loop& loop_;
  std::unique_ptr<net::PacketSocket> socket_;  // null: nobody is there
  std::string why_ = "nobody starts programs yet";
  std::unordered_map<std::uint32_t, StatePtr> open_;  // asked for, and not ended
  std::uint32_t next_id_ = 0;
};

}  // namespace postern::programs
