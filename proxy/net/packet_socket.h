// One end of a pair of sockets that keep packets whole (SOCK_SEQPACKET), as processes of ours talk to each other.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/net/handle.h"

namespace postern::net {

class PacketSocket {
 public:
  // Each may destroy the socket.
  class Owner {
   public:
    virtual void on_packet(std::string_view packet) = 0;  // dies with the call
    virtual void on_end(const std::string& why) = 0;      // once; empty: the other end has closed it
    virtual void on_drained() {}                          // what waited has been sent

   protected:
    ~Owner() = default;
  };

  // A packet of more than `largest` octets ends the connection, and so does one that brings descriptors: nobody here
  // sends any. Reads from the start. `owner` outlives it.
  PacketSocket(uv_loop_t* loop, UniqueFd fd, std::size_t largest, Owner& owner);
  ~PacketSocket();
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;

  // In order; what the kernel has no room for waits. A connection that is lost is told by on_end, later.
  void send(std::string packet);
  std::size_t waiting() const { return waiting_.size(); }
  void set_reading(bool on);

 private:
  enum class Sent { yes, full, lost };
  Sent send_now(const std::string& packet) const;
  void update();
  void on_event(int status, int events);
  bool flush();
  void read();
  void end(const std::string& why);

  UniqueFd fd_;
  Owner& owner_;
  std::size_t largest_;
  std::unique_ptr<char[]> buffer_;
  std::deque<std::string> waiting_;
  bool reading_ = true;
  bool ended_ = false;
  HandlePtr<uv_poll_t> poll_;
};

// A pair of them, closed on exec.
Result<std::pair<UniqueFd, UniqueFd>> packet_pair();

}  // namespace postern::net
