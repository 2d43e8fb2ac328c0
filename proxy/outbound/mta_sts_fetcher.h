// A worker's way to MTA-STS policies (RFC 8461): the TXT record, the policy over HTTPS where that is new, and the store
// of what is known already.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/policy/domain_lookup.h"
#include "proxy/policy/mta_sts_store.h"
#include "proxy/stream/https_get.h"

namespace postern::outbound {

class MtaStsFetcher final : public policy::MtaStsSource {
 public:
  struct Access {
    stream::Errand::Means means;
    dns::Resolver& resolver;
    policy::MtaStsStore& store;
    const tls::ClientContext& tls;
    const tls::TrustStore& trust;
    net::ConnectOptions connect;
    std::uint16_t port = 443;                    // tests have others
    std::chrono::milliseconds patience{60'000};  // for one fetch
    std::function<policy::Time()> now = [] { return std::chrono::floor<std::chrono::seconds>(policy::Clock::now()); };
    std::function<void(const std::string& domain, const Error&)> complain = [](const auto&, const auto&) {};
    std::function<void(std::string_view result)> count = [](auto) {};  // of each fetch: "success", or RFC 8460's word
  };

  // All that `access` refers to outlives the fetcher.
  explicit MtaStsFetcher(Access access);
  ~MtaStsFetcher() override;

  // A policy in force whose id is still the published one is given at once; a fetch that fails leaves it in force.
  std::unique_ptr<dns::Lookup> lookup(const std::string& domain, Callback callback) override;
  // Fetches anew what will be too old soon, a few at a time and no other worker's, and forgets what is too old.
  void refresh();

 private:
  struct Waiting {
    Callback callback;  // empty: answered, or nobody waits any more
  };
  class Ticket;
  struct Inquiry;

  Inquiry& inquire(const std::string& domain);
  void on_record(Inquiry& inquiry, const dns::Answer& answer);
  void look_up_host(Inquiry& inquiry);
  void on_address(Inquiry& inquiry, dns::Type type, const dns::Answer& answer);
  void fetch(Inquiry& inquiry);
  void on_response(Inquiry& inquiry, const Result<wire::HttpResponse>& response);
  void failed(Inquiry& inquiry, policy::ReportResult trouble, const Error& why);
  void not_asked(Inquiry& inquiry, const std::string& why);
  void complain_once(const std::string& domain, const Error& why);
  void answer(Inquiry& inquiry, const policy::MtaStsFacts& facts);
  void end(Inquiry& inquiry, const policy::MtaStsFacts& facts);
  policy::MtaStsFacts known(const std::string& domain) const;

  Access access_;
  std::map<std::string, std::unique_ptr<Inquiry>> inquiries_;
  std::map<std::string, std::string> told_;  // what was said of a domain's record, which is looked up for each mail
};

}  // namespace postern::outbound
