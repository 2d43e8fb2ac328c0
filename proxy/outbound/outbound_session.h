// A legacy client on its way to remote servers: finds out where to, and what TLS must be there.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "proxy/net/connector.h"
#include "proxy/outbound/outbound_service.h"
#include "proxy/outbound/remote_choice.h"
#include "proxy/policy/domain_lookup.h"
#include "proxy/session/session.h"

namespace postern::outbound {

class OutboundSession final : public session::Session {
 public:
  // `listener` is one of the runtime's. The service has adopted the same runtime.
  OutboundSession(session::Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime,
                  OutboundService& service, const runtime::Outbound& listener, std::uint64_t id, net::StreamPtr client);

 private:
  const config::OutboundListener& settings() const { return listener_.settings; }
  const tls::RemoteContexts& contexts() const { return listener_.remotes; }
  const tls::ClientContext& context() const;

  void on_client() override;
  // There is a dialogue from the beginning.
  void on_early_bytes(std::string_view) override {}
  void on_early_end(Early) override {}
  void dial() override;
  bool dial_timed_out() override;
  void release_server() override;
  Result<std::unique_ptr<tls::Engine>> make_engine(smtp::Side side) override;
  void on_tls_up(smtp::Side side) override;
  void ask_policy(std::string_view domain) override;
  void note_question();
  std::chrono::milliseconds share_of(std::chrono::milliseconds limit) const;
  bool tell_more() override;
  std::chrono::milliseconds wait_for(smtp::Timer timer) const override;
  const config::Listener& listener() const override { return settings(); }
  const tls::ServerContext* client_tls() const override { return listener_.tls; }
  limits::Tally& tally() const override { return listener_.tally; }
  std::string_view direction() const override { return "outbound"; }

  std::optional<net::SocketAddress> find_original() const;
  bool was_ours(const net::SocketAddress& original) const;

  // What DNS is asked for.
  enum class Need : std::uint8_t {
    connection,  // the first one, before any recipient is known
    answer,      // of asked_domain_
  };
  // Asks what lookup_for(domain) wants; on_facts() is called with it, now or later.
  void look_up(const std::string& domain, Need need);
  void on_facts(Need need, const policy::DomainFacts* facts);
  void connect_by(const policy::DomainFacts* facts);
  void answer_by(const policy::DomainFacts* facts);

  void connect();
  void on_connected(Result<net::StreamPtr> socket);
  void plan_remote();
  bool read_secret();
  bool may_have_credentials() const;
  Present present() const;
  policy::Evidence evidence() const;
  void record(const Decision& decision);

  // What DNS said of the relay, and what it was asked.
  struct RelayFacts {
    policy::DomainFacts found;
    bool dane = false;
    bool mta_sts = false;
    bool answer(const policy::DomainQuery& wanted) const;
  };

  OutboundService& service_;
  std::shared_ptr<PolicySources> sources_;      // of the runtime that we hold
  const runtime::Outbound& listener_;           // likewise
  smtp::OutboundDialogue* outbound_ = nullptr;  // dialogue_, once it has begun
  std::optional<RemoteChoice> choice_;
  std::unique_ptr<policy::DomainLookup> lookup_;
  Need looks_up_for_ = Need::connection;  // lookup_ does
  std::unique_ptr<RelayFacts> relay_facts_;
  std::unique_ptr<net::Connector> connector_;
  net::OwnConnections::Entry own_;  // of the present connection, or the one that is being made
  std::optional<smtp::PolicyAnswer> answer_;
  std::string asked_domain_;
  std::optional<std::uint32_t> question_;  // what the client wants an answer to
  std::uint64_t asked_since_ = 0;          // … and since when: loop time
  std::string secret_;                     // for the relay, between connecting and the dialogue's plan
};

}  // namespace postern::outbound
