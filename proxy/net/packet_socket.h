// One end of a pair of sockets that keep packets whole (SOCK_SEQPACKET), as processes of ours talk to each other.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/net/handle.h"

namespace postern::net {

using Descriptors = std::vector<UniqueFd>;

class PacketSocket {
 public:
  // What the other side may send. More than that ends the connection, and closes the descriptors.
  struct Bounds {
    std::size_t octets = 0;       // of a packet
    std::size_t descriptors = 0;  // that come with it; at most 253, which is all that the kernel takes along
  };

  // Each may destroy the socket.
  class Owner {
   public:
    virtual void on_packet(std::string_view packet) = 0;  // dies with the call
    // One that has brought descriptors, closed on exec; only where the bounds allow any.
    virtual void on_packet_with(std::string_view packet, Descriptors) { on_packet(packet); }
    virtual void on_end(const std::string& why) = 0;  // once; empty: the other end has closed it
    virtual void on_drained() {}                      // what waited has been sent

   protected:
    ~Owner() = default;
  };

  // Reads from the start. `owner` outlives it.
  PacketSocket(uv_loop_t* loop, UniqueFd fd, Bounds bounds, Owner& owner);
  // No descriptors: a packet that brings any ends the connection.
  PacketSocket(uv_loop_t* loop, UniqueFd fd, std::size_t largest, Owner& owner)
      : PacketSocket(loop, std::move(fd), Bounds{largest, 0}, owner) {}
  ~PacketSocket();
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;

  // In order; what the kernel has no room for waits. A connection that is lost is told by on_end, later. The
  // descriptors go along, and are closed here once they have gone.
  void send(std::string packet, Descriptors descriptors = {});
  std::size_t waiting() const { return waiting_.size(); }
  void set_reading(bool on);

 private:
  enum class Sent { yes, full, lost };
  struct Packet {
    std::string octets;
    Descriptors descriptors;
  };
  Sent send_now(const Packet& packet) const;
  void update();
  void on_event(int status, int events);
  bool flush();
  void read();
  bool forgets_reset() const;
  void end(const std::string& why);

  UniqueFd fd_;
  Owner& owner_;
  Bounds bounds_;
  std::unique_ptr<char[]> buffer_;
  std::vector<char> control_;  // what the kernel says beside a packet
  std::deque<Packet> waiting_;
  bool reading_ = true;
  bool ended_ = false;
  HandlePtr<uv_poll_t> poll_;
};

struct ReceivedPacket {
  std::string octets;
  Descriptors descriptors;
};
// The next one, waited for: for who has no loop yet that would tell. Closed: the other end is gone.
Result<ReceivedPacket> receive_packet(const UniqueFd& socket, const PacketSocket::Bounds& bounds,
                                      std::chrono::milliseconds patience);

// A pair of them, closed on exec.
Result<std::pair<UniqueFd, UniqueFd>> packet_pair();

}  // namespace postern::net
