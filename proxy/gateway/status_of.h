// What the gateway knows of itself, gathered into what an administrator wants to see.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proxy/gateway/worker.h"
#include "proxy/keeper/messages.h"
#include "proxy/process/process_usage.h"
#include "proxy/process/sandbox.h"
#include "proxy/runtime/runtime.h"
#include "proxy/status/status.h"

namespace postern::gateway {

struct Seen {
  const observe::Books& books;         // of all workers
  const Worker::Condition& condition;  // likewise: a server behind stands there once for each
  const runtime::Runtime& runtime;
  const keeper::Counts& counts;
  const std::map<std::string, keeper::CertificateState>& certificates;  // by name: not all of them
  const process::SandboxState& sandbox;
  const std::vector<keeper::Event>& events;  // the oldest first
  const process::ProcessUsage::Now& usage;
  const status::History& history;
  std::int64_t reloaded_at = 0;
  std::uint64_t workers = 0;
  bool draining = false;
};

status::Status status_of(const Seen& seen, std::vector<std::string> troubles);

}  // namespace postern::gateway
