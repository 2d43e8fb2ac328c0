#include "proxy/outbound/mta_sts_fetcher.h"

#include <utility>
#include <vector>

#include "proxy/dns/records.h"

namespace postern::outbound {

using policy::MtaStsFacts;
using policy::ReportResult;

namespace {

constexpr std::size_t max_inquiries = 256;  // under way at once; beyond that, what is known already must do
constexpr std::size_t refreshed_at_once = 10;
constexpr std::size_t max_policy_addresses = 2;  // of each family
constexpr std::size_t max_told = 1000;

// RFC 8461 3.3: senders should look whether it is text/plain, so that nobody who may only put pictures on a host
// publishes a policy there. Whoever can answer under that host's name and path is the domain's own administrator all
// the same, and a policy that is not heeded protects nobody: it counts, and they are told.
std::string remark_on(const std::string& media_type) {
  if (media_type == "text/plain") return {};
  const std::string found = media_type.empty() ? "none" : "'" + media_type.substr(0, 64) + "'";
  return "the policy's media type is " + found + ", not text/plain (RFC 8461 3.3); it counts all the same";
}

}  // namespace

// One domain that is being asked about, for however many sessions.
struct MtaStsFetcher::Inquiry {
  std::string domain;
  std::string id;  // of the published record; empty: none, or not known
  std::vector<std::shared_ptr<Waiting>> waiting;
  std::unique_ptr<dns::Lookup> record;
  // What is in force is what is published: whoever asks need not wait for it to be fetched anew.
  bool confirmed = false;
  std::map<dns::Type, std::unique_ptr<dns::Lookup>> host;
  std::size_t unanswered = 0;
  std::string dns_trouble;  // of one family at least; empty: none
  bool unasked = false;     // that is a trouble of our own
  stream::HttpsGet::Request request;
  std::unique_ptr<stream::HttpsGet> get;
};

class MtaStsFetcher::Ticket final : public dns::Lookup {
 public:
  explicit Ticket(std::shared_ptr<Waiting> waiting) : waiting_(std::move(waiting)) {}
  ~Ticket() override { waiting_->callback = nullptr; }

 private:
  std::shared_ptr<Waiting> waiting_;
};

MtaStsFetcher::MtaStsFetcher(Access access) : access_(std::move(access)) {}
MtaStsFetcher::~MtaStsFetcher() = default;

std::unique_ptr<dns::Lookup> MtaStsFetcher::lookup(const std::string& domain, Callback callback) {
  auto waiting = std::make_shared<Waiting>(Waiting{std::move(callback)});
  const bool name = config::is_host_name(domain);
  const auto found = inquiries_.find(domain);
  if (found != inquiries_.end() ? !found->second->confirmed : name && inquiries_.size() < max_inquiries) {
    inquire(domain).waiting.push_back(waiting);
  } else {
    access_.means.loop.post([waiting, facts = name ? known(domain) : MtaStsFacts{}] {
      if (const auto told = std::exchange(waiting->callback, nullptr)) told(facts);
    });
  }
  return std::make_unique<Ticket>(std::move(waiting));
}

void MtaStsFetcher::refresh() {
  access_.store.expire(access_.now());
  for (const std::string& domain : access_.store.take_due(access_.now(), refreshed_at_once)) inquire(domain);
}

MtaStsFacts MtaStsFetcher::known(const std::string& domain) const {
  MtaStsFacts facts;
  if (const auto cached = access_.store.find(domain, access_.now())) facts.policy = cached->policy;
  return facts;
}

MtaStsFetcher::Inquiry& MtaStsFetcher::inquire(const std::string& domain) {
  auto& inquiry = inquiries_[domain];
  if (inquiry) return *inquiry;
  inquiry = std::make_unique<Inquiry>();
  inquiry->domain = domain;
  Inquiry* asking = inquiry.get();
  inquiry->record = access_.resolver.lookup({policy::mta_sts_record_name(domain), dns::Type::txt},
                                            [this, asking](const dns::Answer& found) { on_record(*asking, found); });
  return *inquiry;
}

void MtaStsFetcher::on_record(Inquiry& inquiry, const dns::Answer& found) {
  if (found.unasked) return not_asked(inquiry, found.reason);
  std::vector<std::string> texts;
  for (const std::string& rdata : found.rdata) {
    if (auto text = dns::parse_txt(rdata)) texts.push_back(std::move(*text));
  }
  const auto id = policy::parse_mta_sts_record(texts);
  if (id) inquiry.id = *id;
  const bool void_record = !id && id.error().code == Errc::protocol;
  if (void_record) complain_once(inquiry.domain, id.error());
  const auto now = access_.now();
  const auto cached = access_.store.find(inquiry.domain, now);
  MtaStsFacts facts = known(inquiry.domain);
  if (!access_.store.should_fetch(inquiry.domain, inquiry.id, now)) {
    if (const auto trouble = access_.store.trouble(inquiry.domain); trouble && !facts.policy && id) {
      facts.trouble = trouble->result;
      facts.remark = trouble->reason;
    }
    if (!facts.policy && void_record) {
      facts.trouble = ReportResult::sts_policy_invalid;
      facts.remark = id.error().message;
    }
    return end(inquiry, facts);
  }
  inquiry.confirmed = cached && (inquiry.id.empty() || inquiry.id == cached->id);
  if (inquiry.confirmed) {
    inquiry.id = cached->id;
    answer(inquiry, facts);
  }
  look_up_host(inquiry);
}

void MtaStsFetcher::look_up_host(Inquiry& inquiry) {
  inquiry.request.host = policy::mta_sts_policy_host(inquiry.domain);
  inquiry.request.path = policy::mta_sts_path;
  inquiry.request.connect = access_.connect;
  inquiry.request.patience = access_.patience;
  inquiry.unanswered = 2;
  for (const dns::Type type : {dns::Type::aaaa, dns::Type::a}) {
    inquiry.host[type] =
        access_.resolver.lookup({inquiry.request.host, type},
                                [this, &inquiry, type](const dns::Answer& found) { on_address(inquiry, type, found); });
  }
}

void MtaStsFetcher::on_address(Inquiry& inquiry, dns::Type type, const dns::Answer& found) {
  std::size_t taken = 0;
  for (const std::string& rdata : found.rdata) {
    const auto address = dns::parse_address(type, rdata);
    if (!address || ++taken > max_policy_addresses) continue;
    inquiry.request.addresses.push_back({*address, access_.port});
  }
  const bool broken = !found.exists() && !found.absent();
  inquiry.unasked = inquiry.unasked || found.unasked;
  if (broken) {
    inquiry.dns_trouble = inquiry.request.host + ": " + std::string(dns::to_string(found.status)) + ", " +
                          found.reason + (found.asked.empty() ? "" : ", asked: " + found.asked);
  }
  if (--inquiry.unanswered != 0) return;
  if (!inquiry.request.addresses.empty() || inquiry.dns_trouble.empty()) return fetch(inquiry);
  if (inquiry.unasked) return not_asked(inquiry, inquiry.dns_trouble);
  failed(inquiry, ReportResult::sts_policy_fetch_error, {Errc::io, inquiry.dns_trouble});
}

void MtaStsFetcher::fetch(Inquiry& inquiry) {
  inquiry.get = std::make_unique<stream::HttpsGet>(
      access_.means, access_.tls, access_.trust, std::move(inquiry.request),
      [this, &inquiry](const Result<wire::HttpResponse>& response) { on_response(inquiry, response); });
}

void MtaStsFetcher::on_response(Inquiry& inquiry, const Result<wire::HttpResponse>& response) {
  if (!response) {
    const bool certificate = response.error().code == Errc::certificate;
    return failed(inquiry, certificate ? ReportResult::sts_webpki_invalid : ReportResult::sts_policy_fetch_error,
                  response.error());
  }
  auto parsed = policy::parse_mta_sts_policy(response->body);
  if (!parsed) return failed(inquiry, ReportResult::sts_policy_invalid, parsed.error());
  access_.count("success");
  access_.store.store(inquiry.domain, {inquiry.id, std::move(*parsed), access_.now()});
  MtaStsFacts facts = known(inquiry.domain);
  facts.remark = remark_on(response->content_type);
  if (!facts.remark.empty()) access_.complain(inquiry.domain, {Errc::protocol, facts.remark});
  end(inquiry, facts);
}

void MtaStsFetcher::failed(Inquiry& inquiry, ReportResult trouble, const Error& why) {
  access_.count(policy::to_string(trouble));
  access_.complain(inquiry.domain, why);
  access_.store.fetch_failed(inquiry.domain, inquiry.id, {trouble, why.message}, access_.now());
  MtaStsFacts facts = known(inquiry.domain);
  if (!facts.policy) facts.trouble = trouble;
  facts.remark = why.message;
  end(inquiry, facts);
}

// Nothing is remembered of that: the next message asks anew.
void MtaStsFetcher::not_asked(Inquiry& inquiry, const std::string& why) {
  MtaStsFacts facts = known(inquiry.domain);
  facts.unasked = true;
  facts.remark = why;
  end(inquiry, facts);
}

void MtaStsFetcher::complain_once(const std::string& domain, const Error& why) {
  if (told_.size() >= max_told) told_.clear();
  std::string& told = told_[domain];
  if (told == why.message) return;
  told = why.message;
  access_.complain(domain, why);
}

void MtaStsFetcher::answer(Inquiry& inquiry, const MtaStsFacts& facts) {
  for (const auto& waiting : std::exchange(inquiry.waiting, {})) {
    if (const auto told = std::exchange(waiting->callback, nullptr)) told(facts);
  }
}

// A callback may ask for the same domain again: that is then a new inquiry.
void MtaStsFetcher::end(Inquiry& inquiry, const MtaStsFacts& facts) {
  const auto found = inquiries_.find(inquiry.domain);
  const std::unique_ptr<Inquiry> ended = std::move(found->second);
  inquiries_.erase(found);
  answer(*ended, facts);
}

}  // namespace postern::outbound
