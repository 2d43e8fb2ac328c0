#include "proxy/keeper/reloader.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/keeper/bundle.h"
#include "proxy/observe/log.h"

namespace postern::keeper {

namespace {

constexpr const char* ending = "not taken over: it is ending\n";

std::string lines_of(const std::vector<config::Diagnostic>& diagnostics) {
  std::string text;
  for (const auto& each : diagnostics) text += config::to_string(each) + "\n";
  return text;
}

std::string first_error(const std::vector<config::Diagnostic>& diagnostics) {
  const auto found = std::ranges::find(diagnostics, config::Diagnostic::Severity::error, &config::Diagnostic::severity);
  return found == diagnostics.end() ? std::string() : ": " + config::to_string(*found);
}

std::string in_words(const std::string& options, const std::string& files) {
  if (options.empty() && files.empty()) return "nothing is another than before";
  return options + (options.empty() || files.empty() ? "" : "; ") + (files.empty() ? "" : "other contents: " + files);
}

}  // namespace

Reloader::Reloader(Means means) : means_(std::move(means)) {}

void Reloader::ask(OnOutcome on_outcome) {
  if (over_) {
    if (on_outcome) on_outcome({false, ending});
    return;
  }
  wanted_ = true;
  if (on_outcome) waiting_.push_back(std::move(on_outcome));
  go_on();
}

void Reloader::go_on() {
  const bool can = means_.renewal.serving() ? !means_.renewal.busy() : means_.nobody_there();
  if (wanted_ && !trial_ && !over_ && can) begin();
}

void Reloader::begin() {
  wanted_ = false;
  std::vector<OnOutcome> asked = std::exchange(waiting_, {});
  const std::uint32_t version = means_.renewal.begin_reload();
  Reading reading = read_again(means_.file, means_.present, means_.listening);
  if (!reading.reload) return refuse(reading.refusal, reading.diagnostics, asked);
  Trial trial{version, std::move(*reading.reload), std::move(reading.diagnostics), std::move(asked)};
  if (means_.nobody_there()) {
    take(std::move(trial));
    return means_.renewal.on_gateway_end();  // which has not begun yet
  }
  trial_ = std::move(trial);
  if (const auto sent = send(trial_->reload, version); !sent) take_back(sent.error().message);
}

Result<void> Reloader::send(const Reload& reload, std::uint32_t version) {
  auto sealed = seal(reload.next.bundle);
  if (!sealed) return tl::unexpected(sealed.error());
  net::Descriptors one;
  one.push_back(std::move(*sealed));
  means_.send(Snapshot{version}, std::move(one));
  if (auto sent = means_.listening.send_added(reload.listening, version, means_.send); !sent) return sent;
  if (auto error = means_.announce(reload.next, version)) return tl::unexpected(*error);
  means_.send(Commit{version, means_.workers}, {});
  return {};
}

void Reloader::refuse(const std::string& why, const std::vector<config::Diagnostic>& diagnostics,
                      const std::vector<OnOutcome>& asked) {
  failed_ = true;
  log::error("the configuration is not taken over; what was there goes on", {{"reason", why}});
  means_.renewal.end_reload(false);
  if (means_.told) means_.told(false, why + first_error(diagnostics));
  means_.ended();
  const Outcome outcome{false, lines_of(diagnostics) + "not taken over: " + why + "\n"};
  for (const auto& each : asked) each(outcome);
  go_on();
}

void Reloader::take_back(const std::string& why) {
  const Trial trial = std::move(*std::exchange(trial_, std::nullopt));
  means_.withdraw(trial.version);
  refuse(why, trial.diagnostics, trial.asked);
}

bool Reloader::hear(const Serving& report) {
  if (!trial_ || report.version != trial_->version) return false;
  if (over_) return true;
  take(std::move(*std::exchange(trial_, std::nullopt)));
  go_on();
  return true;
}

void Reloader::take(Trial trial) {
  means_.present = std::move(trial.reload.next);
  means_.listening.take(std::move(trial.reload.listening));
  failed_ = false;
  means_.renewal.end_reload(true);
  const std::string& options = trial.reload.options;
  const std::string& files = trial.reload.files;
  means_.swapped();
  log::info("the configuration was taken over", {{"changed", options}, {"files", files}});
  if (means_.told) means_.told(true, in_words(options, files));
  means_.ended();
  std::string text = lines_of(trial.diagnostics);
  if (options.empty() && files.empty()) text += "taken over; nothing is another than before\n";
  if (!options.empty()) text += "taken over: " + options + "\n";
  if (!files.empty()) text += "taken over, with other contents: " + files + "\n";
  for (const auto& each : trial.asked) each({true, text});
}

bool Reloader::hear(const Refused& report) {
  if (!trial_ || report.version != trial_->version) return false;
  if (over_) return true;
  take_back(report.text.empty() ? "the gateway gave no reason" : report.text);
  return true;
}

void Reloader::on_gateway_end() {
  if (trial_ && !over_) take_back("the gateway was lost before it served that");
}

void Reloader::on_silence() {
  if (!trial_) return;
  for (const auto& each : std::exchange(trial_->asked, {})) {
    each({false, "the gateway does not say whether it serves it: the log will tell\n"});
  }
}

// The gateway may serve it already: whoever works for its sessions goes on knowing it.
void Reloader::end() {
  over_ = true;
  if (trial_) log::warning("a configuration was to be taken over, and nobody knows whether it was");
  std::vector<OnOutcome> asked = std::exchange(waiting_, {});
  if (trial_) std::ranges::move(std::exchange(trial_->asked, {}), std::back_inserter(asked));
  for (const auto& each : asked) each({false, ending});
}

}  // namespace postern::keeper
