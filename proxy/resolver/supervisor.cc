#include "proxy/resolver/supervisor.h"

#include <algorithm>
#include <utility>

namespace postern::resolver {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t long_enough = 3'000;  // milliseconds: one that has served for so long is followed at once
constexpr std::chrono::milliseconds first_pause = 1s;
constexpr std::chrono::milliseconds longest_pause = 30s;

}  // namespace

Supervisor::Supervisor(net::Loop& loop, Means means)
    : loop_(loop), means_(std::move(means)), timer_(loop.raw(), [this] { begin_again(); }) {}

// It ends when it hears nobody any more, which is waited for.
Supervisor::~Supervisor() {
  control_.reset();
}

std::optional<Error> Supervisor::begin() {
  ++run_;
  began_ = loop_.now();
  trouble_.clear();
  auto launched = launch(loop_, means_.program, means_.settings, means_.clients,
                         [this, run = run_](const std::string& how) { on_end_of_process(run, how); });
  if (!launched) return launched.error();
  launched_ = std::move(*launched);
  return std::nullopt;
}

void Supervisor::watch() {
  net::PacketSocket::Owner& hears = *this;
  control_ = std::make_unique<net::PacketSocket>(loop_.raw(), std::move(launched_.control), max_message, hears);
  means_.connect(std::exchange(launched_.clients, {}), run_);
}

std::optional<Error> Supervisor::start() {
  if (auto error = begin()) return error;
  const auto report = first_report(launched_.control, patience_at_start);
  if (!report) return report.error();
  if (is_refusal(report->kind)) return Error{Errc::invalid_argument, report->text};
  watch();
  return std::nullopt;
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
      if (losses_ > 0) means_.tell({News::Kind::back, {}, 0ms});
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
  if (run != run_) return;
  lose(trouble_.empty() ? how : how + ": " + trouble_);
}

void Supervisor::lose(const std::string& why) {
  ++losses_;
  control_.reset();
  launched_ = {};
  const bool served = loop_.now() - began_ >= long_enough;
  pause_ = served ? 0ms : std::clamp(pause_ * 2, first_pause, longest_pause);
  means_.tell({News::Kind::lost, why, pause_});
  timer_.start(pause_);
}

void Supervisor::begin_again() {
  if (const auto error = begin()) return lose(error->message);
  watch();
}

}  // namespace postern::resolver
