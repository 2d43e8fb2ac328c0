#include "proxy/status/status.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace postern::status {

namespace {

Tls tls_of(const observe::Book& book, std::string_view side) {
  Tls tls;
  tls.side = side;
  const auto count = [](Counts& counts, std::string_view label, std::uint64_t value) {
    const auto known = std::ranges::find(counts, label, &Counts::value_type::first);
    if (known != counts.end()) {
      known->second += value;
    } else {
      counts.emplace_back(label, value);
    }
  };
  for (const auto& sample : book.samples()) {
    if (sample.row.name != "tls_handshakes_total" || sample.labels[0] != side) continue;
    tls.handshakes += sample.value;
    if (sample.labels[4] == "true") tls.resumed += sample.value;
    count(tls.versions, sample.labels[1], sample.value);
    count(tls.ciphers, sample.labels[2], sample.value);
    count(tls.groups, sample.labels[3], sample.value);
  }
  tls.failures = counts_of(book, "tls_handshake_failures_total", {side});
  return tls;
}

}  // namespace

Counts counts_of(const observe::Book& book, observe::Metric metric, observe::Book::Labels fixed, std::size_t labels) {
  Counts counts;
  for (const auto& sample : book.samples()) {
    if (&sample.row != &metric.row() || sample.value == 0) continue;
    if (!std::equal(fixed.begin(), fixed.end(), sample.labels.begin())) continue;
    std::string label;
    for (std::size_t i = fixed.size(); i < fixed.size() + labels; ++i) {
      if (!label.empty()) label += ' ';
      label += sample.labels[i];
    }
    counts.emplace_back(std::move(label), sample.value);
  }
  return counts;
}

Listener listener_of(std::string_view path, const observe::Book& book) {
  Listener listener;
  const std::size_t dot = path.find('.');
  listener.direction = path.substr(0, dot);
  listener.name = path.substr(dot + 1);
  listener.sessions = book.sum("sessions_active");
  listener.begun = book.sum("sessions_total");
  listener.without_tls = book.sum("plaintext_sessions_total");
  listener.bytes_in = book.sum("bytes_total", {"in"});
  listener.bytes_out = book.sum("bytes_total", {"out"});
  listener.messages = counts_of(book, "messages_total");
  listener.endings = counts_of(book, "session_ends_total");
  listener.denied = counts_of(book, "rejections_total");
  listener.limits = counts_of(book, "limit_hits_total");
  listener.policies = counts_of(book, "policy_decisions_total", {}, 2);
  listener.plaintext = counts_of(book, "plaintext_deliveries_total");
  for (const std::string_view side : {"client", "server"}) {
    Tls tls = tls_of(book, side);
    if (tls.handshakes != 0 || !tls.failures.empty()) listener.tls.push_back(std::move(tls));
  }
  listener.recent = book.recent();
  return listener;
}

std::vector<ShutOut> shut_out(const Tls& tls) {
  std::vector<ShutOut> all;
  for (const auto& [version, handshakes] : tls.versions) {
    if (version == "TLSv1.3") continue;
    all.push_back({version, handshakes, share(handshakes, tls.handshakes)});
  }
  return all;
}

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::uint64_t sum_of(const Counts& counts) {
  std::uint64_t sum = 0;
  for (const auto& [label, count] : counts) sum += count;
  return sum;
}

std::uint64_t count_of(const Counts& counts, std::string_view label) {
  const auto found = std::ranges::find(counts, label, &Counts::value_type::first);
  return found == counts.end() ? 0 : found->second;
}

std::string path_of(const Listener& listener) {
  return listener.direction + "." + listener.name;
}

std::uint64_t failed_handshakes(const Listener& listener) {
  std::uint64_t sum = 0;
  for (const Tls& tls : listener.tls) sum += sum_of(tls.failures);
  return sum;
}

std::string print_time(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  std::array<char, 64> text{};
  if (::gmtime_r(&time, &parts) == nullptr) return "?";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%SZ", &parts)};
}

std::string print_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::max(0.0, seconds));
  const auto parts = [](std::int64_t big, const char* big_unit, std::int64_t small, const char* small_unit) {
    return std::to_string(big) + " " + big_unit + (small == 0 ? "" : " " + std::to_string(small) + " " + small_unit);
  };
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return parts(whole / 60, "min", whole % 60, "s");
  if (whole < 86'400) return parts(whole / 3600, "h", whole % 3600 / 60, "min");
  return parts(whole / 86'400, "d", whole % 86'400 / 3600, "h");
}

std::string print_bytes(double octets) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; octets >= 1024 && unit + 1 < units.size(); ++unit) octets /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 || octets >= 100 ? "%.0f %s" : "%.1f %s", octets, units[unit]);
  return text.data();
}

std::string print_sandbox(const Sandbox& sandbox) {
  std::string text(sandbox.mode);
  if (sandbox.landlock) text += ": Landlock";
  if (sandbox.seccomp) text += sandbox.landlock ? " and seccomp" : ": seccomp";
  if (!sandbox.missing.empty()) text += "; missing: " + sandbox.missing;
  return text;
}

std::string print_drained(const Drained& drained) {
  return std::to_string(drained.by_themselves) + " by themselves, " + std::to_string(drained.told) + " told, " +
         std::to_string(drained.cut) + " cut";
}

std::string print_percent(double share) {
  std::array<char, 32> text{};
  const double percent = 100 * share;
  std::snprintf(text.data(), text.size(), percent != 0 && percent < 10 ? "%.1f %%" : "%.0f %%", percent);
  return text.data();
}

}  // namespace postern::status
