// A gateway's thread's way to the resolver: everything that it asks DNS, and the names of servers, goes here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/dns/resolver.h"
#include "proxy/net/loop.h"
#include "proxy/net/names.h"
#include "proxy/net/packet_socket.h"
#include "proxy/net/timer.h"
#include "proxy/resolver/answer_cache.h"
#include "proxy/resolver/messages.h"

namespace postern::resolver {

class Client final : public net::Names, private net::PacketSocket::Owner {
 public:
  // Asks nobody yet; what is asked meanwhile waits for two seconds, and has then failed. Failures of our own say
  // dns::Answer::unasked.
  explicit Client(net::Loop& loop);
  ~Client() override;

  // Told once of a connection that is of no use: it was closed (`why` is empty), or broke the protocol, or nobody
  // answers on it.
  using OnTrouble = std::function<void(const std::string& why)>;
  // From now on asks there. What is under way on another connection is asked anew, once: it may be what ended that.
  void connect(UniqueFd fd, OnTrouble on_trouble = {});
  bool connected() const { return socket_ != nullptr; }

  // DNS. Not How::system. The Client outlives it.
  std::unique_ptr<dns::Resolver> resolver(How how);
  // The system's names. May be null where nobody waits: see net::Names.
  std::unique_ptr<net::NameLookup> look_up(const std::string& name, net::Names::Callback callback) override;

 private:
  class Way;
  class Ticket;
  struct Request {
    Question question;
    dns::Resolver::Callback callback;  // empty: called, or cancelled
    dns::Answer answer;
    std::uint64_t asked = 0;     // loop time
    std::uint64_t deadline = 0;  // loop time
    bool sent = false;
    bool twice = false;  // it was under way when a connection ended
  };
  using RequestPtr = std::shared_ptr<Request>;

  RequestPtr ask(How how, const dns::Question& question, dns::Resolver::Callback callback);
  void send(Request& request);
  void finish(const RequestPtr& request, dns::Answer answer);
  void deliver();
  void expire();
  void ask_anew(const std::string& why);
  void lose(const std::string& why);
  void on_packet(std::string_view packet) override;
  void on_end(const std::string& why) override;

  net::Loop& loop_;
  std::unique_ptr<net::PacketSocket> socket_;  // null: nobody is there
  OnTrouble on_trouble_;
  std::unordered_map<std::uint32_t, RequestPtr> open_;
  std::vector<RequestPtr> ready_;  // to be called back in the next turn
  AnswerCache cache_;
  std::uint32_t next_id_ = 0;
  std::uint64_t last_heard_ = 0;  // loop time
  net::Timer ready_timer_;
  net::Timer deadline_timer_;
};

}  // namespace postern::resolver
