#include <algorithm>

#include "config/text.h"
#include "proxy/status/status.h"
#include "proxy/status/visible.h"

namespace postern::status {

namespace {

// Columns that are as wide as what stands in them; the last one ends where it ends.
class Columns {
 public:
  void add(std::vector<std::string> row) {
    for (std::string& cell : row) cell = visible(cell);
    rows_.push_back(std::move(row));
  }
  void print(std::string& out) const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
      widths.resize(std::max(widths.size(), row.size()));
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    }
    for (const auto& row : rows_) {
      std::string line = " ";
      for (std::size_t i = 0; i < row.size(); ++i) {
        line += " " + row[i];
        if (i + 1 < row.size()) line.append(widths[i] - width_of(row[i]) + 1, ' ');
      }
      out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
  }

 private:
  static std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
  }
  std::vector<std::vector<std::string>> rows_;
};

std::string in_one_line(const Counts& counts) {
  std::string line;
  for (const auto& [label, count] : counts) line += (line.empty() ? "" : ", ") + label + " " + std::to_string(count);
  return line;
}

std::string rate(double number) {
  return std::to_string(static_cast<std::uint64_t>(number * 10 + 0.5) / 10) + "." +
         std::to_string(static_cast<std::uint64_t>(number * 10 + 0.5) % 10) + "/s";
}

void print_head(std::string& out, const Status& status) {
  const Process& process = status.process;
  out +=
      visible(status.hostname) + ": " + (status.troubles.empty() ? "ready" : visible(config::listed(status.troubles)));
  Columns head;
  head.add({"version", status.version});
  head.add({"running since", print_time(status.started) + " (" +
                                 print_duration(static_cast<double>(status.now - status.started)) + ")"});
  head.add(
      {"configuration of", print_time(status.reloaded) +
                               (status.reload_failed ? ", and what came later was not taken over: see the log" : "")});
  head.add({"restarts", "gateway " + std::to_string(process.gateway_restarts) + ", resolver " +
                            std::to_string(process.resolver_restarts)});
  head.add({"sandbox", print_sandbox(status.sandbox)});
  if (status.drained) head.add({"drained", print_drained(*status.drained)});
  if (process.resident_bytes) head.add({"memory", print_bytes(static_cast<double>(*process.resident_bytes))});
  if (process.open_descriptors && process.most_descriptors) {
    head.add({"descriptors",
              std::to_string(*process.open_descriptors) + " of " + std::to_string(*process.most_descriptors)});
  }
  head.add({"waiting for peers", print_bytes(static_cast<double>(process.buffered_bytes)) + " of " +
                                     print_bytes(static_cast<double>(process.buffer_limit_bytes))});
  out += "\n";
  head.print(out);
}

void print_sessions(std::string& out, const Status& status) {
  out += "\nlisteners\n";
  Columns table;
  table.add({"", "now", "highest", "limit", "total", "lately", "accepted", "in", "out", "denied", "failed TLS"});
  for (const Listener& each : status.listeners) {
    table.add({path_of(each), std::to_string(each.sessions), std::to_string(each.highest),
               each.limit == 0 ? "-" : std::to_string(each.limit), std::to_string(each.begun),
               rate(History::lately(each.trend.begun)), std::to_string(count_of(each.messages, "accepted")),
               print_bytes(static_cast<double>(each.bytes_in)), print_bytes(static_cast<double>(each.bytes_out)),
               std::to_string(sum_of(each.denied)), std::to_string(failed_handshakes(each))});
  }
  table.print(out);
}

void print_tls(std::string& out, const Listener& listener) {
  Columns lines;
  for (const Tls& tls : listener.tls) {
    lines.add({"TLS, " + std::string(tls.side), std::to_string(tls.handshakes) + " handshakes, " +
                                                    print_percent(share(tls.resumed, tls.handshakes)) + " resumed"});
    if (!tls.versions.empty()) lines.add({"", in_one_line(tls.versions)});
    if (!tls.ciphers.empty()) lines.add({"", in_one_line(tls.ciphers)});
    if (!tls.groups.empty()) lines.add({"", in_one_line(tls.groups)});
    if (!tls.failures.empty()) lines.add({"", "failed: " + in_one_line(tls.failures)});
    for (const ShutOut& each : shut_out(tls)) {
      lines.add({"", "a higher min_version would shut out " + print_percent(each.share) + ": " + each.version});
    }
  }
  for (const auto& each : listener.recent.old_tls()) {
    lines.add({"old TLS", print_time(each.last) + " " + each.version + " " + each.side + " " + each.peer +
                              (each.name.empty() ? "" : " (" + each.name + ")") + ", " + std::to_string(each.times) +
                              " times"});
  }
  lines.print(out);
}

void print_listener(std::string& out, const Listener& listener) {
  out += "\n" + visible(path_of(listener)) + "\n";
  Columns lines;
  lines.add({"listens on", listener.addresses.empty() ? "nothing any more" : config::listed(listener.addresses)});
  if (!listener.mode.empty())
    lines.add(
        {"mode", listener.mode + (listener.min_version.empty() ? "" : ", " + listener.min_version + " and newer")});
  for (const Backend& each : listener.backends) {
    const std::string since = each.seconds ? " for " + print_duration(*each.seconds) : ", not tried yet";
    lines.add({"backend", each.address + " " + (each.up ? "up" : "DOWN") + since + ", " +
                              std::to_string(each.connections) + " connections"});
  }
  const auto add = [&lines](const char* name, const Counts& counts) {
    if (!counts.empty()) lines.add({name, in_one_line(counts)});
  };
  add("messages", listener.messages);
  add("ended", listener.endings);
  add("denied", listener.denied);
  add("limits reached", listener.limits);
  add("policies", listener.policies);
  add("without TLS", listener.plaintext);
  for (const auto& each : listener.recent.unsatisfied()) {
    lines.add({each.result, print_time(each.last) + " " + each.domain + (each.host.empty() ? "" : " at " + each.host) +
                                ": " + each.policy + ", " + each.reason + (each.detail.empty() ? "" : ", ") +
                                each.detail + ", " + std::to_string(each.times) + " times"});
  }
  lines.print(out);
  print_tls(out, listener);
}

void print_certificates(std::string& out, const Status& status) {
  if (status.certificates.empty()) return;
  out += "\ncertificates\n";
  Columns table;
  for (const Certificate& each : status.certificates) {
    table.add({each.name, each.subject, "until " + print_time(each.not_after), print_percent(each.share_left) + " left",
               config::listed(each.served_by),
               each.differs_from_disk ? "DIFFERS FROM DISK: " + (each.why.empty() ? "see the log" : each.why) : ""});
  }
  table.print(out);
}

void print_events(std::string& out, const Status& status) {
  if (status.events.empty()) return;
  out += "\nreloads and restarts\n";
  Columns table;
  for (const Event& each : status.events) table.add({print_time(each.time), std::string(each.kind), each.text});
  table.print(out);
}

}  // namespace

std::string print_text(const Status& status) {
  std::string out;
  print_head(out, status);
  print_sessions(out, status);
  for (const Listener& each : status.listeners) print_listener(out, each);
  print_certificates(out, status);
  print_events(out, status);
  const auto add = [&out](const char* name, const Counts& counts) {
    if (!counts.empty()) out += std::string("\n") + name + "\n  " + visible(in_one_line(counts)) + "\n";
  };
  add("DNS", status.dns);
  add("MTA-STS policies fetched", status.mta_sts);
  add("TLS reports", status.tls_reports);
  return out;
}

}  // namespace postern::status
