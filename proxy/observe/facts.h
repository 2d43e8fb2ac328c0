// What is no count of a worker: numbers of the process and its configuration, as they are at a scrape. A row each, like
// those of metrics.h.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/observe/metrics.h"

namespace postern::observe {

struct FactRow {
  std::string_view name;  // whole
  Type type;              // counter or gauge
  std::string_view help;
  std::array<std::string_view, 3> labels = {};
};

inline constexpr FactRow fact_rows[] = {
    {"postern_sessions_limit",
     Type::gauge,
     "Sessions that may run at a time; absent: no limit.",
     {"direction", "listener"}},
    {"postern_buffered_bytes", Type::gauge, "What waits in memory for peers that do not read.", {}},
    {"postern_buffer_limit_bytes", Type::gauge, "What may wait before new sessions are refused.", {}},
    {"postern_certificate_not_before_timestamp_seconds",
     Type::gauge,
     "When a certificate that is served begins to be valid.",
     {"certificate", "subject"}},
    {"postern_certificate_not_after_timestamp_seconds",
     Type::gauge,
     "When a certificate that is served, or one of its chain, expires.",
     {"certificate", "subject"}},
    {"postern_certificate_differs_from_disk",
     Type::gauge,
     "Whether what is served is not what the files hold.",
     {"certificate"}},
    {"postern_certificate_reload_failures_total",
     Type::counter,
     "Attempts to take over a certificate that failed, by why: unreadable, malformed, mismatch, refused, guard.",
     {"certificate", "reason"}},
    {"postern_config_last_reload_successful",
     Type::gauge,
     "Whether what has changed last, of the configuration or of its files, was taken over.",
     {}},
    {"postern_config_last_reload_success_timestamp_seconds",
     Type::gauge,
     "When the configuration, or one of its files, was taken over last.",
     {}},
    {"postern_process_restarts_total",
     Type::counter,
     "Processes of ours that ended unasked, and were started again.",
     {"process"}},
    {"postern_sandbox_active", Type::gauge, "Whether the gateway is confined by it.", {"kind"}},
    {"postern_draining", Type::gauge, "Whether the gateway is stopping.", {}},
    {"postern_log_lines_dropped_total", Type::counter, "Lines that the reader of stderr was too slow for.", {}},
    {"postern_build_info", Type::gauge, "Always 1.", {"version", "libuv", "boringssl_api"}},
    {"process_cpu_seconds_total", Type::counter, "CPU time of the gateway's process.", {}},
    {"process_start_time_seconds", Type::gauge, "When the gateway's process was started.", {}},
    {"process_open_fds", Type::gauge, "Descriptors that are open.", {}},
    {"process_max_fds", Type::gauge, "Descriptors that may be open.", {}},
    {"process_virtual_memory_bytes", Type::gauge, "Address space in use.", {}},
    {"process_resident_memory_bytes", Type::gauge, "Memory that is in RAM.", {}},
};

using Fact = RowOf<fact_rows>;

class Facts {
 public:
  struct Value {
    const FactRow* row;
    std::vector<std::string> labels;
    double value;
  };
  // `labels`: a value for each of the row's.
  void set(Fact fact, double value, std::vector<std::string> labels = {}) {
    values_.push_back({&fact.row(), std::move(labels), value});
  }
  const std::vector<Value>& values() const { return values_; }

 private:
  std::vector<Value> values_;
};

}  // namespace postern::observe
