// SIGUSR2: the binary that is there now is started beside us and takes our place, with our sockets, so that there is no
// moment in which nobody accepts. What the two say to each other is taken from messages.h: the old one Sockets, as
// often as it takes, and Commit; the new one Serving; then the old one Commit again, and drains.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "proxy/keeper/listening.h"
#include "proxy/keeper/messages.h"
#include "proxy/net/helper_process.h"
#include "proxy/net/loop.h"
#include "proxy/net/packet_socket.h"
#include "proxy/net/timer.h"

namespace postern::keeper {

// The new one, as the old one sees it.
class Successor final : private net::PacketSocket::Owner {
 public:
  // Each may destroy it.
  class Owner {
   public:
    virtual void on_successor_serves() = 0;
    virtual void on_successor_fails(const std::string& why) = 0;

   protected:
    ~Owner() = default;
  };

  // Executes `file`, which has `grace` to say that it serves. `loop` and `owner` outlive it.
  static Result<std::unique_ptr<Successor>> start(net::Loop& loop, const std::string& file,
                                                  const std::vector<std::string>& arguments,
                                                  std::chrono::milliseconds grace, Owner& owner);
  // It is ended, unless it was let go.
  ~Successor();

  // Our sockets, and at the end Commit.
  void send(const Order& order, net::Descriptors descriptors = {});
  // Our place is its.
  void let_go();
  int pid() const { return process_->pid(); }

 private:
  Successor(net::Loop& loop, Owner& owner);
  void on_packet(std::string_view packet) override;
  void on_end(const std::string& why) override;
  void fail(const std::string& why);

  Owner& owner_;
  net::Timer patience_;
  std::unique_ptr<net::HelperProcess> process_;
  std::unique_ptr<net::PacketSocket> socket_;
  std::string trouble_ = "it has not said in time that it serves";
  bool over_ = false;  // it has failed, or was let go
};

// The old one, as the new one sees it.
class Predecessor final : private net::PacketSocket::Owner {
 public:
  // Null: nobody has started us in its place. Waits until all of its sockets are here. `loop` outlives it.
  static Result<std::unique_ptr<Predecessor>> meet(net::Loop& loop);

  std::vector<Listening::Given> take_sockets() { return std::move(sockets_); }
  // `on_place` is called once its place is ours: it has said so, or is gone.
  void serving(std::function<void()> on_place);

 private:
  Predecessor() = default;
  Result<void> hear_all(const UniqueFd& socket);
  Result<void> take(const Sockets& order, net::Descriptors descriptors);
  void on_packet(std::string_view packet) override;
  void on_end(const std::string& why) override;

  std::vector<Listening::Given> sockets_;
  std::unique_ptr<net::PacketSocket> socket_;
  std::function<void()> on_place_;
};

}  // namespace postern::keeper
