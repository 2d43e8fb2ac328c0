#include "proxy/resolver/supervisor.h"

#include <utility>

namespace postern::resolver {

namespace {

using namespace std::chrono_literals;

constexpr auto patience_with_leaving = 10s;  // they are asked nothing more, and answer within that
constexpr std::size_t most_leaving = 4;

}  // namespace

Supervisor::Supervisor(net::Loop& loop, Means means)
    : loop_(loop),
      means_(std::move(means)),
      farewell_(loop.raw(),
                [this] {
                  for (const Leaving& each : leaving_) each.process->kill();
                }),
      timer_(loop.raw(), [this] { begin_again(); }) {}

// It ends when it hears nobody any more, which is waited for.
Supervisor::~Supervisor() {
  control_.reset();
}

std::optional<Error> Supervisor::begin() {
  ++run_;
  pauses_.begun(loop_.now());
  trouble_.clear();
  auto launched = launch(loop_, means_.program, means_.settings, 0,
                         [this, run = run_](const std::string& how) { on_end_of_process(run, how); });
  if (!launched) return launched.error();
  launched_ = std::move(*launched);
  return std::nullopt;
}

void Supervisor::watch() {
  net::PacketSocket::Owner& hears = *this;
  control_ = std::make_unique<net::PacketSocket>(loop_.raw(), std::move(launched_.control), max_message, hears);
  connect_again();
}

void Supervisor::connect_again() {
  if (!control_) return;
  std::vector<UniqueFd> ours;
  for (unsigned left = means_.clients; left > 0;) {
    net::Descriptors theirs;
    for (; left > 0 && theirs.size() < max_new_clients; --left) {
      auto pair = net::packet_pair();
      if (!pair) return means_.tell({News::Kind::trouble, pair.error().message, 0ms});
      ours.push_back(std::move(pair->first));
      theirs.push_back(std::move(pair->second));
    }
    control_->send(encode(NewClients{}), std::move(theirs));
  }
  means_.connect(std::move(ours), run_);
}

std::optional<Error> Supervisor::start() {
  if (auto error = begin()) return error;
  const auto report = first_report(launched_.control, patience_at_start);
  if (!report) return report.error();
  if (is_refusal(report->kind)) return Error{Errc::invalid_argument, report->text};
  watch();
  return std::nullopt;
}

void Supervisor::renew(Settings settings) {
  means_.settings = std::move(settings);
  control_.reset();
  timer_.stop();
  if (launched_.process) {
    leaving_.push_back({run_, std::move(launched_.process)});
    if (leaving_.size() > most_leaving) leaving_.front().process->kill();
    farewell_.start(patience_with_leaving);
  }
  begin_again();
}

void Supervisor::replace(std::uint64_t run, const std::string& why) {
  if (run != run_ || !launched_.process) return;
  if (trouble_.empty()) trouble_ = why;  // empty: it has ended by itself, which tells how
  launched_.process->kill();
}

void Supervisor::on_packet(std::string_view packet) {
  const auto report = parse_report(packet);
  if (!report) return replace(run_, report.error().message);
  switch (report->kind) {
    case Report::Kind::ready:
      if (std::exchange(missed_, false)) means_.tell({News::Kind::back, {}, 0ms});
      return;
    case Report::Kind::servers_changed: return means_.tell({News::Kind::servers_changed, report->text, 0ms});
    case Report::Kind::servers_refused:
    case Report::Kind::anchor_refused:
    case Report::Kind::user_refused: trouble_ = report->text; return;
    case Report::Kind::trouble: trouble_ = report->text; return means_.tell({News::Kind::trouble, report->text, 0ms});
  }
}

// One that closes and does not end is of no use either.
void Supervisor::on_end(const std::string& why) {
  control_.reset();
  replace(run_, why);
}

void Supervisor::on_end_of_process(std::uint64_t run, const std::string& how) {
  if (run != run_) {
    std::erase_if(leaving_, [run](const Leaving& each) { return each.run == run; });
    return;
  }
  lose(trouble_.empty() ? how : how + ": " + trouble_);
}

void Supervisor::lose(const std::string& why) {
  ++losses_;
  missed_ = true;
  control_.reset();
  launched_ = {};
  const std::chrono::milliseconds pause = pauses_.ended(loop_.now());
  means_.tell({News::Kind::lost, why, pause});
  timer_.start(pause);
}

void Supervisor::begin_again() {
  if (const auto error = begin()) return lose(error->message);
  watch();
}

}  // namespace postern::resolver
