// A gateway's thread's way to whoever holds its private keys.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
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
  static constexpr std::size_t most_under_way = 16'384;
  // Milliseconds for which a signer that has something to do may be silent. RSA with 4,096 bits takes about 5 ms; how
  // long a handshake waits for those before it, its own deadline says.
  static constexpr std::uint64_t patience = 10'000;

  // Nobody signs yet: what is asked has failed at once.
  explicit Client(net::Loop& loop, std::uint64_t for_how_long = patience);
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
  class Cancelling;
  struct Pending {
    std::uint32_t id = 0;
    OnAnswer on_answer;  // empty: nobody waits for it any more
  };

  void look();
  void fail_all(const std::string& why);
  void change(bool hangs);
  void lose(const std::string& why);
  void on_packet(std::string_view packet) override;
  void on_end(const std::string& why) override;

  net::Loop& loop_;
  const std::uint64_t patience_;
  std::unique_ptr<net::PacketSocket> socket_;  // null: nobody is there
  OnLost on_lost_;
  std::deque<std::shared_ptr<Pending>> pending_;  // in the order in which answers come
  std::uint32_t next_id_ = 0;
  std::uint64_t moved_ = 0;  // loop time of the last answer, or of the request that found none under way
  bool looking_ = false;     // the timer runs
  bool hangs_ = false;       // no answer has come for too long
  std::function<void()> on_change_;
  net::Timer timer_;
};

}  // namespace postern::signing
