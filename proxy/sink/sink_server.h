// The sink's sockets: any number of listeners and connections on one loop.
#pragma once

#include <string>
#include <vector>

#include "config/values.h"
#include "proxy/sink/sink_session.h"

namespace postern::sink {

struct SinkOptions {
  std::vector<config::Endpoint> listen;  // IP addresses
  std::string maildir;                   // empty: messages are counted and forgotten
  bool sync = false;                     // fsync before a message is acknowledged
  bool quiet = false;                    // no line on stdout for every message
  Capabilities capabilities;
};

// Says "listening on ADDRESS:PORT" on stdout once for every listener, then serves until SIGTERM or SIGINT.
Result<void> run_sink(const SinkOptions& options);

}  // namespace postern::sink
