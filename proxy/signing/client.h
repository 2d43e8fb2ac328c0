// A gateway's thread's way to whoever holds its private keys.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "proxy/net/loop.h"
#include "proxy/net/packet_socket.h"
#include "proxy/net/timer.h"
#include "proxy/signing/messages.h"
#include "tls/signer.h"

namespace postern::signing {

class Client final : public tls::Signer, private net::PacketSocket::Owner {
 public:
  // Requests that the signer has, or will find in its socket: enough that it never waits for us. The others wait here,
  // where one that nobody wants any more costs no signature.
  static constexpr std::size_t most_sent = 32;
  static constexpr std::size_t most_in_line = 16'384;
  struct Patience {
    // Milliseconds for which a signer that has something to do may be silent. RSA with 4,096 bits takes about 5 ms.
    std::uint64_t with_signer = 10'000;
    // Milliseconds in line: of a flood, those that are told no soon leave room for those that can be served.
    std::uint64_t in_line = 5'000;
  };

  // Nobody signs yet: what is asked has failed at once.
  explicit Client(net::Loop& loop) : Client(loop, Patience()) {}
  Client(net::Loop& loop, Patience patience);
  ~Client() override;

  // Told once of a connection that is of no use: it was closed (`why` is empty), or broke the protocol. What was under
  // way on it has failed by then. One that is silent may answer yet: until then all that is asked has failed at once.
  using OnLost = std::function<void(const std::string& why)>;
  void connect(UniqueFd fd, OnLost on_lost = {});
  bool connected() const { return socket_ != nullptr; }
  // Told whenever signs() has changed.
  void on_change(std::function<void()> told) { on_change_ = std::move(told); }
  bool signs() const override { return socket_ != nullptr && !hangs_; }

  Result<std::unique_ptr<Ticket>> ask(const tls::KeyRequest& request, OnAnswer on_answer) override;

 private:
  struct Pending;
  using Line = std::list<std::shared_ptr<Pending>>;
  struct Pending {
    OnAnswer on_answer;  // empty: nobody waits for it any more
    std::uint32_t id = 0;
    // While it is in line:
    Line* line = nullptr;  // null: it is not
    Line::iterator place;
    std::string message;
    std::uint64_t since = 0;  // loop time
  };
  class Cancelling;

  void stand_in_line(std::shared_ptr<Pending> pending, std::string message);
  static void leave_line(Pending& pending);
  static void tell_failed(Pending& pending, const std::string& why);
  void send(std::shared_ptr<Pending> pending, std::string message);
  void send_more();
  void look();
  void fail_old();
  void fail_all(const std::string& why);
  void change(bool hangs);
  void lose(const std::string& why);
  void on_packet(std::string_view packet) override;
  void on_end(const std::string& why) override;

  net::Loop& loop_;
  const Patience patience_;
  std::unique_ptr<net::PacketSocket> socket_;  // null: nobody is there
  OnLost on_lost_;
  std::deque<std::shared_ptr<Pending>> sent_;  // in the order in which answers come
  Line line_;                                  // likewise, behind them
  std::uint32_t next_id_ = 0;
  std::uint64_t moved_ = 0;  // loop time of the last answer, or of the request that found none under way
  bool looking_ = false;     // the timer runs
  bool hangs_ = false;       // no answer has come for too long
  std::function<void()> on_change_;
  net::Timer timer_;
};

}  // namespace postern::signing
