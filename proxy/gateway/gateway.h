// The life of the gateway's process: hears from the keeper what to run on, and has workers run on it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "proxy/gateway/admin.h"
#include "proxy/gateway/renewals.h"
#include "proxy/gateway/worker.h"
#include "proxy/keeper/messages.h"
#include "proxy/net/packet_socket.h"
#include "proxy/process/sandbox.h"
#include "proxy/runtime/runtime.h"

namespace postern::gateway {

// A snapshot whose parts are still arriving.
struct Arriving {
  std::uint32_t version = 0;
  UniqueFd bundle;
  std::map<std::uint32_t, std::vector<Worker::Socket>> sockets;  // by worker
  std::map<std::uint32_t, UniqueFd> signers;                     // likewise
  std::map<std::uint32_t, UniqueFd> programs;                    // to whoever starts them
  std::size_t count = 0;
  UniqueFd admin;  // none: there is no admin server
};

class Gateway final : private net::PacketSocket::Owner {
 public:
  // `keeper` leads to whoever started us; `sandbox` is what we are in.
  explicit Gateway(UniqueFd keeper, process::SandboxState sandbox = {});
  ~Gateway();

  // Until it is told to drain or to stop, or the keeper is gone, and every worker has ended.
  void run();

 private:
  void on_packet(std::string_view packet) override { hear(packet, {}); }
  void on_packet_with(std::string_view packet, net::Descriptors descriptors) override {
    hear(packet, std::move(descriptors));
  }
  void on_end(const std::string& why) override;
  void hear(std::string_view packet, net::Descriptors descriptors);
  void obey(const keeper::Snapshot& order, net::Descriptors& descriptors);
  void obey(const keeper::Sockets& order, net::Descriptors& descriptors);
  void obey(const keeper::Commit& order, net::Descriptors& descriptors);
  void obey(const keeper::Renewed& order, net::Descriptors& descriptors);
  void obey(const keeper::Resolver& order, net::Descriptors& descriptors);
  void obey(const keeper::Announce& order, net::Descriptors& descriptors);
  void obey(const keeper::Drain& order, net::Descriptors& descriptors);
  void obey(const keeper::Stop& order, net::Descriptors& descriptors);
  void obey(const keeper::Counts& order, net::Descriptors& descriptors);
  void obey(const keeper::Ask& order, net::Descriptors& descriptors);
  void obey(const keeper::Status& order, net::Descriptors& descriptors);
  void obey(const keeper::CertificateState& order, net::Descriptors& descriptors);
  void obey(const keeper::Signer& order, net::Descriptors& descriptors);
  void obey(const keeper::Event& order, net::Descriptors& descriptors);
  std::optional<Error> swap_in(Arriving arriving, std::uint32_t workers);
  std::shared_ptr<const runtime::Runtime> until_retired(std::shared_ptr<const runtime::Runtime> runtime,
                                                        std::uint32_t version);
  void take(const keeper::Sockets::Entry& entry, UniqueFd descriptor);
  void use_programs(Arriving& arriving);
  void make_workers(std::uint32_t count, Arriving& arriving);
  void look_after(UniqueFd admin);
  void start_admin(UniqueFd socket);
  void tell_when_serving(std::uint32_t version);
  void tell_sandbox() const;
  void use_resolver(Worker& worker, UniqueFd connection, std::uint64_t run);
  void use_signer(std::uint32_t worker, UniqueFd connection);
  void say(const keeper::Report& report);
  void give_up(const std::string& why);
  void drain(bool sockets_live_on = false);
  void on_worker_end();
  void report() const;

  net::Loop loop_;
  const process::SandboxState sandbox_;
  Renewals renewals_;
  std::unique_ptr<net::PacketSocket> keeper_;  // null: it is gone
  std::shared_ptr<const runtime::Runtime> runtime_;
  std::optional<Arriving> arriving_;
  std::map<std::uint32_t, UniqueFd> resolver_connections_;  // by worker: of those that there are not yet
  std::uint64_t resolver_run_ = 0;
  bool resolver_is_stale_ = false;  // another is on its way, as there are other name servers or another trust anchor
  std::vector<std::unique_ptr<Worker>> workers_;
  keeper::Counts counts_;
  Admin::Certificates certificates_;  // those of which there is something to be said
  Admin::Events events_;
  std::unique_ptr<Admin> admin_;  // null: there is none. It goes when no worker runs any more
  std::size_t running_ = 0;
  bool leaving_ = false;  // and draining soon
  bool draining_ = false;
};

}  // namespace postern::gateway
