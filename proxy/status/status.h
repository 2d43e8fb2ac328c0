// What an administrator wants to see of a running gateway, as plain data: /status, its JSON and `postern status` are
// three ways to print it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/observe/book.h"
#include "proxy/observe/recent.h"
#include "proxy/status/history.h"

namespace postern::status {

using Counts = std::vector<std::pair<std::string, std::uint64_t>>;  // what never happened is left out

// TLS of one side of a listener's sessions.
struct Tls {
  std::string_view side;  // client or server
  std::uint64_t handshakes = 0;
  std::uint64_t resumed = 0;
  Counts versions;
  Counts ciphers;
  Counts groups;
  Counts failures;  // by reason
};

struct Backend {
  std::string address;
  bool up = true;
  std::optional<double> seconds;  // since when, as far as it was ever tried
  std::uint32_t connections = 0;
};

struct Listener {
  std::string direction;
  std::string name;
  std::vector<std::string> addresses;  // empty: the configuration has it no more
  std::string mode;
  std::string min_version;
  std::uint64_t sessions = 0;
  std::uint64_t highest = 0;
  std::uint64_t limit = 0;  // 0: none
  std::uint64_t begun = 0;
  std::uint64_t without_tls = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  Counts messages;
  Counts endings;
  Counts denied;     // by reason
  Counts limits;     // refusals, by the limit
  Counts policies;   // "dane satisfied"
  Counts plaintext;  // deliveries without TLS, by why
  std::vector<Tls> tls;
  std::vector<Backend> backends;
  observe::Recent recent;
  History::Trend trend;
};

struct Certificate {
  std::string name;
  std::string subject;
  std::int64_t not_before = 0;  // seconds since 1970
  std::int64_t not_after = 0;
  double share_left = 0;  // of its lifetime
  std::vector<std::string> names;
  std::vector<std::string> served_by;  // "inbound.mx"
  bool differs_from_disk = false;      // what is there now could not be taken over
  std::string why = {};                // "guard: no TLSA record …"; empty: it was not tried yet
};

struct Process {
  std::uint64_t workers = 0;
  double cpu_seconds = 0;
  std::optional<std::uint64_t> resident_bytes;
  std::optional<std::uint64_t> open_descriptors;
  std::optional<std::uint64_t> most_descriptors;
  std::uint64_t buffered_bytes = 0;
  std::uint64_t buffer_limit_bytes = 0;
  std::uint64_t log_lines_dropped = 0;
  std::uint64_t gateway_restarts = 0;
  std::uint64_t resolver_restarts = 0;
};

struct Sandbox {
  std::string_view mode = "off";
  bool landlock = false;
  bool seccomp = false;
  std::string missing;  // of what was asked for, and why
};

// Of the sessions that were told to drain, how many ended how.
struct Drained {
  std::uint64_t by_themselves = 0;
  std::uint64_t told = 0;
  std::uint64_t cut = 0;
};

// Something that changed the processes, or should have.
struct Event {
  std::int64_t time = 0;  // seconds since 1970
  std::string_view kind;  // "reloaded"
  std::string text;
};

struct Status {
  std::string hostname;
  std::string version;
  std::int64_t now = 0;      // seconds since 1970
  std::int64_t started = 0;  // the gateway's process
  std::int64_t reloaded = 0;
  bool reload_failed = false;
  std::vector<std::string> troubles;  // why it is not ready; empty: it is
  Process process;
  Sandbox sandbox;
  std::optional<Drained> drained;  // as far as it drains
  std::vector<Event> events;       // the last ones, the latest first
  std::vector<Listener> listeners;
  std::vector<Certificate> certificates;
  Counts dns;  // "MX secure"
  Counts mta_sts;
  Counts tls_reports;
};

// What a listener's book says of it. `path`: "inbound.mx".
Listener listener_of(std::string_view path, const observe::Book& book);
// Of the numbers of a metric that has these first labels: one for each value of the label behind them, or for each
// combination of the `labels` behind them.
Counts counts_of(const observe::Book& book, observe::Metric metric, observe::Book::Labels fixed = {},
                 std::size_t labels = 1);

// Handshakes of peers that a `min_version` above theirs would shut out: by version, of those older than 1.3.
struct ShutOut {
  std::string version;
  std::uint64_t handshakes = 0;
  double share = 0;  // of all of that side
};
std::vector<ShutOut> shut_out(const Tls& tls);

double share(std::uint64_t part, std::uint64_t whole);
std::uint64_t sum_of(const Counts& counts);
std::uint64_t count_of(const Counts& counts, std::string_view label);  // 0: there is none
std::string path_of(const Listener& listener);                         // "inbound.mx"
std::uint64_t failed_handshakes(const Listener& listener);             // of either side

// "2026-11-28 01:02:03Z"; "3 d 4 h"; "12.3 MiB".
std::string print_time(std::int64_t seconds);
std::string print_duration(double seconds);
std::string print_bytes(double octets);
std::string print_percent(double share);
// "on: Landlock and seccomp"; "3 by themselves, 2 told, 1 cut".
std::string print_sandbox(const Sandbox& sandbox);
std::string print_drained(const Drained& drained);

// With a line feed at the end.
std::string print_json(const Status& status);
std::string print_text(const Status& status);
// A whole page, and the Content-Security-Policy that it must be sent with.
std::string print_html(const Status& status);
std::string content_security_policy();

}  // namespace postern::status
