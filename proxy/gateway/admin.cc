#include "proxy/gateway/admin.h"

#include <uv.h>

#include <ctime>
#include <map>
#include <utility>

#include "proxy/gateway/status_of.h"
#include "proxy/observe/exposition.h"
#include "proxy/observe/log.h"
#include "tls/library_facts.h"

namespace postern::gateway {

namespace {

constexpr unsigned patience = 2;  // ticks for workers to answer

std::vector<std::string> silent_workers(const std::vector<bool>& answered) {
  std::vector<std::string> silent;
  for (std::size_t i = 0; i < answered.size(); ++i) {
    if (!answered[i]) silent.push_back("worker " + std::to_string(i) + " does not answer");
  }
  return silent;
}

std::string lines_of(const std::vector<std::string>& troubles) {
  std::string text;
  for (const std::string& each : troubles) text += each + "\n";
  return text;
}

void add(Worker::Condition& all, const Worker::Condition& one) {
  all.draining = all.draining || one.draining;
  all.without_resolver = all.without_resolver || one.without_resolver;
  all.drained.by_themselves += one.drained.by_themselves;
  all.drained.told += one.drained.told;
  all.drained.cut += one.drained.cut;
  all.backends.insert(all.backends.end(), one.backends.begin(), one.backends.end());
}

void add_certificates(observe::Facts& facts, const runtime::Runtime& runtime) {
  const auto seconds = [](std::chrono::sys_seconds time) {
    return static_cast<double>(time.time_since_epoch().count());
  };
  // Several pairs may have a name and a subject: what counts is the one that ends first.
  std::map<std::pair<std::string, std::string>, const tls::CertificateFacts*> first;
  for (const tls::CertificateFacts& each : runtime.contexts->certificates()) {
    const auto*& kept = first[{each.name, each.subject}];
    if (kept == nullptr || each.not_after < kept->not_after) kept = &each;
  }
  for (const auto& [labels, each] : first) {
    facts.set("postern_certificate_not_before_timestamp_seconds", seconds(each->not_before),
              {each->name, each->subject});
    facts.set("postern_certificate_not_after_timestamp_seconds", seconds(each->not_after), {each->name, each->subject});
  }
}

void add_renewals(observe::Facts& facts, const runtime::Runtime& runtime, const Admin::Certificates& certificates) {
  for (const auto& [name, pairs] : runtime.settings.certificates) {
    const auto known = certificates.find(name);
    const keeper::CertificateState state = known != certificates.end() ? known->second : keeper::CertificateState();
    facts.set("postern_certificate_differs_from_disk", state.differs_from_disk ? 1 : 0, {name});
    for (std::size_t i = 0; i < state.failures.size(); ++i) {
      facts.set("postern_certificate_reload_failures_total", static_cast<double>(state.failures[i]),
                {name, std::string(to_string(static_cast<keeper::RenewalFailure>(i)))});
    }
  }
}

void add_limits(observe::Facts& facts, const runtime::Runtime& runtime) {
  const auto add = [&facts](const char* direction, const config::Listener& listener) {
    if (listener.limits.sessions == 0) return;
    facts.set("postern_sessions_limit", listener.limits.sessions, {direction, listener.name});
  };
  for (const auto& listener : runtime.settings.inbound) add("inbound", listener);
  for (const auto& listener : runtime.settings.outbound) add("outbound", listener);
  facts.set("postern_buffered_bytes", static_cast<double>(runtime.tallies->buffered()->octets()));
  facts.set("postern_buffer_limit_bytes", static_cast<double>(runtime.settings.buffer_limit.bytes));
}

void add_usage(observe::Facts& facts, const process::ProcessUsage::Now& now) {
  facts.set("process_cpu_seconds_total", now.cpu_seconds);
  facts.set("process_start_time_seconds", now.start_time);
  const auto add = [&facts](observe::Fact fact, const std::optional<std::uint64_t>& value) {
    if (value) facts.set(fact, static_cast<double>(*value));
  };
  add("process_open_fds", now.open_descriptors);
  add("process_max_fds", now.most_descriptors);
  add("process_virtual_memory_bytes", now.virtual_bytes);
  add("process_resident_memory_bytes", now.resident_bytes);
}

}  // namespace

Admin::Admin(const Workers& workers, std::shared_ptr<const runtime::Runtime> runtime)
    : workers_(workers),
      runtime_(std::move(runtime)),
      counts_(std::make_shared<const keeper::Counts>()),
      certificates_(std::make_shared<const Certificates>()),
      reloaded_at_(std::time(nullptr)),
      sandbox_(std::make_shared<const process::SandboxState>()),
      events_(std::make_shared<const Events>()) {}

Result<std::unique_ptr<Admin>> Admin::start(UniqueFd socket, const Workers& workers,
                                            std::shared_ptr<const runtime::Runtime> runtime) {
  std::unique_ptr<Admin> admin(new Admin(workers, std::move(runtime)));
  auto* const self = admin.get();
  auto server = observe::AdminServer::make(
      std::move(socket),
      [self](std::string_view path, std::string_view query, observe::AdminServer::Answer answer) {
        self->serve(path, query, std::move(answer));
      },
      [self] { self->tick(); });
  if (!server) return tl::unexpected(server.error());
  admin->server_ = std::move(*server);
  admin->server_->run();  // somebody may be waiting already
  return admin;
}

void Admin::adopted(std::shared_ptr<const runtime::Runtime> runtime) {
  runtime_.set(std::move(runtime));
  renewed();
}

void Admin::renewed() {
  reloaded_at_ = std::time(nullptr);
}

void Admin::counted(const keeper::Counts& counts) {
  counts_.set(std::make_shared<const keeper::Counts>(counts));
}

void Admin::renewed(const Certificates& certificates) {
  certificates_.set(std::make_shared<const Certificates>(certificates));
}

void Admin::confined(const process::SandboxState& sandbox) {
  sandbox_.set(std::make_shared<const process::SandboxState>(sandbox));
}

void Admin::heard(const Events& events) {
  events_.set(std::make_shared<const Events>(events));
}

void Admin::tell_status(UniqueFd connection, bool as_text) {
  server_->tell(std::move(connection), "/status", as_text ? "format=text" : "format=json");
}

void Admin::serve(std::string_view path, std::string_view query, observe::AdminServer::Answer answer) {
  if (path != "/metrics" && path != "/healthz" && path != "/readyz" && path != "/status") {
    return answer({404, "text/plain; charset=utf-8", "there are /status, /metrics, /healthz and /readyz\n"});
  }
  waiting_.push_back({std::string(path), std::string(query), std::move(answer)});
  if (round_ == nullptr) ask();
}

// However many want to know: the workers are asked once at a time.
void Admin::ask() {
  const auto round = std::make_shared<Round>();
  round->left = workers_.size();
  round->answered.resize(workers_.size());
  round_ = round;
  age_ = 0;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->gather([this, round, i](const observe::Books& books, const Worker::Condition& condition) {
      const std::lock_guard lock(round->mutex);
      round->answered[i] = true;
      round->books.add(books);
      add(round->condition, condition);
      if (--round->left == 0) server_->post([this, round] { finish(round); });
    });
  }
}

// Now and then nobody asks but the history.
void Admin::tick() {
  if (round_ != nullptr && ++age_ > patience) finish(round_);
  if (++ticks_ % status::History::interval.count() != 0 || round_ != nullptr) return;
  waiting_.push_back({{}, {}, {}});
  ask();
}

void Admin::finish(const std::shared_ptr<Round>& round) {
  if (round_ != round) return;  // given up before
  round_ = nullptr;
  const std::lock_guard lock(round->mutex);
  for (const Waiting& each : std::exchange(waiting_, {})) {
    if (each.answer) {
      each.answer(page(each, *round));
    } else if (round->left == 0) {
      history_.take(round->books);
    }
  }
}

observe::AdminServer::Page Admin::page(const Waiting& wanted, const Round& round) const {
  const std::string& path = wanted.path;
  std::vector<std::string> missing = silent_workers(round.answered);
  if (path == "/metrics" && missing.empty()) {
    return {200, std::string(observe::exposition_type), observe::print_metrics(round.books, facts(round))};
  }
  if (path == "/readyz" || path == "/status") {
    if (round.condition.draining || leaving_) missing.emplace_back("draining");
    if (round.condition.without_resolver) missing.emplace_back("the resolver is not there");
  }
  if (path == "/status") return status(wanted.query, round, std::move(missing));
  if (!missing.empty()) return {503, "text/plain; charset=utf-8", lines_of(missing)};
  return {200, "text/plain; charset=utf-8", path == "/readyz" ? "ready\n" : "alive\n"};
}

observe::AdminServer::Page Admin::status(std::string_view query, const Round& round,
                                         std::vector<std::string> troubles) const {
  const auto runtime = runtime_.get();
  const auto counts = counts_.get();
  const auto certificates = certificates_.get();
  const auto sandbox = sandbox_.get();
  const auto events = events_.get();
  const auto usage = usage_.now();
  const Seen seen{round.books,   round.condition, *runtime,        *counts,
                  *certificates, *sandbox,        *events,         usage,
                  history_,      reloaded_at_,    workers_.size(), round.condition.draining || leaving_};
  const status::Status status = status_of(seen, std::move(troubles));
  if (query == "format=json") return {200, "application/json", status::print_json(status)};
  if (query == "format=text") return {200, "text/plain; charset=utf-8", status::print_text(status)};
  return {200, "text/html; charset=utf-8", status::print_html(status), status::content_security_policy()};
}

observe::Facts Admin::facts(const Round& round) const {
  const auto runtime = runtime_.get();
  observe::Facts facts;
  add_limits(facts, *runtime);
  add_certificates(facts, *runtime);
  add_renewals(facts, *runtime, *certificates_.get());
  add_usage(facts, usage_.now());
  const auto counts = counts_.get();
  facts.set("postern_config_last_reload_successful", counts->reload_failed ? 0 : 1);
  facts.set("postern_process_restarts_total", static_cast<double>(counts->gateway_losses), {"gateway"});
  facts.set("postern_process_restarts_total", static_cast<double>(counts->resolver_losses), {"resolver"});
  facts.set("postern_config_last_reload_success_timestamp_seconds", static_cast<double>(reloaded_at_.load()));
  const auto sandbox = sandbox_.get();
  facts.set("postern_sandbox_active", sandbox->files ? 1 : 0, {"landlock"});
  facts.set("postern_sandbox_active", sandbox->calls ? 1 : 0, {"seccomp"});
  facts.set("postern_draining", round.condition.draining || leaving_ ? 1 : 0);
  facts.set("postern_log_lines_dropped_total", static_cast<double>(log::dropped()));
  facts.set("postern_build_info", 1,
            {POSTERN_VERSION, uv_version_string(), std::to_string(tls::library_facts().api_version)});
  return facts;
}

}  // namespace postern::gateway
