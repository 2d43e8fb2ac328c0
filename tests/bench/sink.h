// An SMTP server that accepts everything, counts it and keeps nothing. One thread, epoll; quick enough not to be the
// limit.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/client.h"

namespace postern::bench {

struct SinkListener {
  int port = 0;
  Security security = Security::plain;
  std::string chain, key;        // PEM files, unless plain
  bool refuses_tickets = false;  // gives them, and does a full handshake when it gets one back
  int auth_backend = 0;          // not 0: no SMTP, but the HTTP service that tells nginx's mail proxy to use this port
};

// Serves until stdin ends. Every line on stdin is answered with "SESSIONS MESSAGES OCTETS HANDSHAKES RESUMED", content
// as received.
void run_sink(const std::vector<SinkListener>& listeners);

}  // namespace postern::bench
