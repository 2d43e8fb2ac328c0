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
  explicit Client(net::Loop& loop);
  ~Client() override;

  // Told once of a connection that is of no use: it was closed (`why` is empty), or broke the protocol, or nobody
  // answers on it. What was under way on it has failed by then.
  using OnLost = std::function<void(const std::string& why)>;
  void connect(UniqueFd fd, OnLost on_lost = {});
  bool connected() const { return socket_ != nullptr; }

  Result<std::unique_ptr<Ticket>> ask(const tls::KeyRequest& request, OnAnswer on_answer) override;

 private:
  class Cancelling;
  struct Pending {
    std::uint32_t id = 0;
    OnAnswer on_answer;  // empty: nobody waits for it any more
  };

  void look();
  void lose(const std::string& why);
  void on_packet(std::string_view packet) override;
  void on_end(const std::string& why) override;

  net::Loop& loop_;
  std::unique_ptr<net::PacketSocket> socket_;  // null: nobody is there
  OnLost on_lost_;
  std::deque<std::shared_ptr<Pending>> pending_;  // in the order in which answers come
  std::uint32_t next_id_ = 0;
  std::uint64_t moved_ = 0;  // loop time of the last answer, or of the request that found none under way
  bool looking_ = false;     // the timer runs
  net::Timer timer_;
};

}  // namespace postern::signing
