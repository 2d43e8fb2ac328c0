// The rows of the bench, as work for a number of clients.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tests/bench/client.h"

namespace postern::bench {

enum class Work { sessions, lock_step, pipelined, bdat, noop, idle };

struct Workload {
  Work work = Work::sessions;
  int port = 0;
  Security security = Security::implicit;
  bool resume = false;
  std::size_t size = 1024;         // octets of a message, "idle" included
  std::size_t count = 100;         // units: sessions, messages, NOOPs; for "idle" the sessions held open
  std::size_t connections = 1;     // at a time
  std::chrono::seconds limit{30};  // stops early, so that no gateway can hold up the run
};

// Speaks to the script on stdin and stdout: sets up, says "ready", waits for a line, works, prints the result as a line
// of JSON, waits for a line, ends the sessions. "idle" prints a result twice: with the sessions fresh, and after a
// message each.
void run_workload(const Workload& workload);

}  // namespace postern::bench
