#include "proxy/dns/unbound_resolver.h"

#include <unbound.h>

#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "proxy/dns/records.h"
#include "proxy/dns/unbound_events.h"
#include "proxy/net/handle.h"

namespace postern::dns {

namespace {

// libunbound sets up what all of its contexts share (its log and its lock, random numbers) when the first one is made,
// and two threads that make theirs at the same time have been seen to wait for each other for ever.
std::mutex making_contexts;

constexpr int class_in = 1;

struct DeleteContext {
  void operator()(ub_ctx* context) const noexcept { ub_ctx_delete(context); }
};
using ContextPtr = std::unique_ptr<ub_ctx, DeleteContext>;

// One lookup, shared by libunbound's side (which cannot let go early) and the caller's.
struct Request {
  Question question;
  Resolver::Callback callback;  // empty: answered, or cancelled
  Answer answer;
};

class UnboundLookup final : public Lookup {
 public:
  explicit UnboundLookup(std::shared_ptr<Request> request) : request_(std::move(request)) {}
  ~UnboundLookup() override { request_->callback = nullptr; }

 private:
  std::shared_ptr<Request> request_;
};

net::HandlePtr<uv_timer_t> make_timer(uv_loop_t* loop, void* data) {
  auto handle = std::make_unique<uv_timer_t>();
  uv_timer_init(loop, handle.get());  // cannot fail
  handle->data = data;
  return net::HandlePtr<uv_timer_t>(handle.release());
}

// `security` is libunbound's: 0 insecure, 1 bogus, 2 secure.
Answer to_answer(const Question& question, int rcode, std::string_view packet, int security, const char* why_bogus) {
  if (security == 1) {
    Answer answer = failure(why_bogus != nullptr ? why_bogus : "DNSSEC validation failed");
    answer.status = Status::bogus;
    return answer;
  }
  // The library says "server failure" for all of these, and for silence too: no code that a server gave is known.
  if (rcode != 0 || packet.empty()) return failure("no usable answer");
  Answer answer = parse_message(packet, question);
  answer.secure = security == 2 && answer.status != Status::failed;
  return answer;
}

class UnboundResolver final : public Resolver {
 public:
  UnboundResolver(uv_loop_t* loop, const ResolverSettings& settings)
      : loop_(loop),
        timeout_(static_cast<std::uint64_t>(settings.timeout.count())),
        asked_(to_string(settings.servers)),
        events_(loop),
        context_(ub_ctx_create_ub_event(events_.base())),
        ready_timer_(make_timer(loop, this)),
        deadline_timer_(make_timer(loop, this)) {
    uv_unref(reinterpret_cast<uv_handle_t*>(deadline_timer_.get()));
  }
  // libunbound answers what is still open while its context goes; nobody listens any more.
  ~UnboundResolver() override {
    const std::scoped_lock lock(making_contexts);
    context_.reset();
  }

  std::optional<Error> configure(const ResolverSettings& settings);
  std::unique_ptr<Lookup> lookup(const Question& question, Callback callback) override;

 private:
  static void on_result(void* data, int rcode, void* packet, int size, int security, char* why_bogus, int) noexcept;
  void finish(const std::shared_ptr<Request>& request, Answer answer);
  void deliver();
  void expire();
  void watch_deadline(const std::shared_ptr<Request>& request);
  void start_deadline_timer();

  // What libunbound gets to hold: it calls back exactly once, at the latest while its context is deleted.
  struct Ticket {
    UnboundResolver* resolver;
    std::shared_ptr<Request> request;
  };

  uv_loop_t* loop_;
  std::uint64_t timeout_;
  std::string asked_;
  std::unordered_map<const Ticket*, std::unique_ptr<Ticket>> tickets_;
  std::vector<std::shared_ptr<Request>> ready_;                             // to be called back in the next turn
  std::deque<std::pair<std::uint64_t, std::weak_ptr<Request>>> deadlines_;  // the earliest first: one timeout for all
  UnboundEvents events_;
  ContextPtr context_;
  net::HandlePtr<uv_timer_t> ready_timer_;
  net::HandlePtr<uv_timer_t> deadline_timer_;
};

std::optional<Error> as_error(int code, const std::string& what) {
  if (code == 0) return std::nullopt;
  return Error{Errc::invalid_argument, what + ": " + ub_strerror(code)};
}

// The library answers these by itself, with names that do not exist, instead of asking anybody. Networks that use them
// have servers that know them, and a bounce is nothing that a library should decide. They are never signed where they
// are anybody's own (RFC 8375 4, 6761 6): what the root says of them is no proof against that.
constexpr const char* private_zones[] = {"home.arpa.", "test.", "invalid.", "onion."};

std::optional<Error> set_options(ub_ctx* context) {
  // Servers on the loopback are ordinary here. A server that was down is asked again soon: mail waits in somebody's
  // queue meanwhile. The library's own sizes are for a program that asks a name at a time.
  constexpr std::pair<const char*, const char*> options[] = {
      {"do-not-query-localhost:", "no"}, {"infra-keep-probing:", "yes"}, {"infra-host-ttl:", "60"},
      {"outgoing-range:", "256"},        {"outgoing-num-tcp:", "16"},    {"num-queries-per-thread:", "1024"},
      {"msg-cache-size:", "4m"},         {"rrset-cache-size:", "8m"},    {"unblock-lan-zones:", "yes"},
      {"insecure-lan-zones:", "yes"},
  };
  for (const auto& [name, value] : options) {
    if (auto error = as_error(ub_ctx_set_option(context, name, value), std::string("libunbound option ") + name)) {
      return error;
    }
  }
  for (const char* zone : private_zones) {
    if (auto error = as_error(ub_ctx_set_option(context, "domain-insecure:", zone), std::string("zone ") + zone)) {
      return error;
    }
  }
  return std::nullopt;
}

std::optional<Error> set_servers(ub_ctx* context, const NameServers& servers) {
  for (const std::string& server : servers.servers) {
    if (auto error = as_error(ub_ctx_set_fwd(context, server.c_str()), "DNS server " + server)) return error;
  }
  if (servers.servers.empty() && !servers.recursive) return Error{Errc::invalid_argument, "no DNS servers are given"};
  return std::nullopt;
}

std::optional<Error> set_trust_anchor(ub_ctx* context, const ResolverSettings& settings) {
  for (const std::string& record : settings.trust_anchor) {
    if (auto error = as_error(ub_ctx_add_ta(context, record.c_str()), "trust anchor " + record)) return error;
  }
  return std::nullopt;
}

std::optional<Error> starting(int code) {
  return as_error(code, "starting libunbound (is the trust anchor well-formed?)");
}

// The first of these calls makes the library read its anchors. Nothing may follow where that fails: version 1.22 ends
// the process when it is to begin twice.
std::optional<Error> ask_about_all_names(ub_ctx* context) {
  for (const char* zone : private_zones) {
    if (auto error = starting(ub_ctx_zone_remove(context, zone))) return error;
  }
  for (const char* zone : {"127.in-addr.arpa.", "resolver.arpa.", "service.arpa."}) ub_ctx_zone_remove(context, zone);
  // Names below localhost are this machine too (RFC 6761 6.3), not names that do not exist.
  ub_ctx_zone_add(context, "localhost.", "redirect");
  return std::nullopt;
}

void ignore_result(void*, int, void*, int, int, char*, int) {}

std::optional<Error> UnboundResolver::configure(const ResolverSettings& settings) {
  if (!context_) return Error{Errc::unsupported, "libunbound gives no context"};
  ub_ctx_debugout(context_.get(), nullptr);  // it would write to stderr on its own
  if (auto error = set_options(context_.get())) return error;
  if (auto error = set_servers(context_.get(), settings.servers)) return error;
  if (auto error = set_trust_anchor(context_.get(), settings)) return error;
  if (auto error = ask_about_all_names(context_.get())) return error;  // no option can be set after that
  // What else may be wrong shows at the first question. The library knows this one's answer by itself.
  return starting(ub_resolve_event(context_.get(), "localhost", 1, class_in, nullptr, ignore_result, nullptr));
}

std::unique_ptr<Lookup> UnboundResolver::lookup(const Question& question, Callback callback) {
  auto request = std::make_shared<Request>(Request{question, std::move(callback), {}});
  auto ticket = std::make_unique<Ticket>(Ticket{this, request});
  Ticket* data = ticket.get();
  tickets_.emplace(data, std::move(ticket));
  watch_deadline(request);
  // May call on_result before it returns, when the answer is in the cache.
  const int error = ub_resolve_event(context_.get(), question.name.empty() ? "." : question.name.c_str(),
                                     static_cast<int>(question.type), class_in, data, on_result, nullptr);
  if (error != 0) {
    tickets_.erase(data);
    finish(request, failure(ub_strerror(error)));
  }
  return std::make_unique<UnboundLookup>(std::move(request));
}

void UnboundResolver::on_result(void* data, int rcode, void* packet, int size, int security, char* why_bogus,
                                int) noexcept {
  auto* ticket = static_cast<Ticket*>(data);
  UnboundResolver* self = ticket->resolver;
  const std::shared_ptr<Request> request = ticket->request;
  self->tickets_.erase(ticket);
  const bool has_packet = rcode == 0 && packet != nullptr && size > 0;
  const std::string_view bytes(has_packet ? static_cast<const char*>(packet) : "",
                               has_packet ? static_cast<std::size_t>(size) : 0);
  self->finish(request, to_answer(request->question, rcode, bytes, security, why_bogus));
}

void UnboundResolver::finish(const std::shared_ptr<Request>& request, Answer answer) {
  if (!request->callback) return;
  request->answer = std::move(answer);
  if (!request->answer.exists() && !request->answer.absent()) request->answer.asked = asked_;
  ready_.push_back(request);
  uv_timer_start(
      ready_timer_.get(), [](uv_timer_t* timer) { static_cast<UnboundResolver*>(timer->data)->deliver(); }, 0, 0);
}

void UnboundResolver::deliver() {
  for (const auto& request : std::exchange(ready_, {})) {
    if (const Callback callback = std::exchange(request->callback, nullptr)) callback(request->answer);
  }
}

void UnboundResolver::watch_deadline(const std::shared_ptr<Request>& request) {
  deadlines_.emplace_back(uv_now(loop_) + timeout_, request);
  if (deadlines_.size() == 1) start_deadline_timer();
}

void UnboundResolver::start_deadline_timer() {
  const std::uint64_t now = uv_now(loop_);
  const std::uint64_t due = deadlines_.front().first;
  uv_timer_start(
      deadline_timer_.get(), [](uv_timer_t* timer) { static_cast<UnboundResolver*>(timer->data)->expire(); },
      due > now ? due - now : 0, 0);
}

void UnboundResolver::expire() {
  const std::uint64_t now = uv_now(loop_);
  while (!deadlines_.empty()) {
    const auto request = deadlines_.front().second.lock();
    const bool open = request && request->callback;
    if (open && deadlines_.front().first > now) break;
    if (open) finish(request, failure("no answer in time"));
    deadlines_.pop_front();
  }
  if (!deadlines_.empty()) start_deadline_timer();
}

}  // namespace

Result<std::unique_ptr<Resolver>> make_unbound_resolver(uv_loop_t* loop, const ResolverSettings& settings) {
  std::unique_ptr<UnboundResolver> resolver;
  std::optional<Error> error;
  {
    const std::scoped_lock lock(making_contexts);
    resolver = std::make_unique<UnboundResolver>(loop, settings);
    error = resolver->configure(settings);
  }
  if (error) return tl::unexpected(std::move(*error));
  return resolver;
}

std::string unbound_version() {
  return ub_version();
}

}  // namespace postern::dns
