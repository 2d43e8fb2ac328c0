// How far an inbound conversation has come before a test begins.
#pragma once

#include <string_view>

#include "tests/proxy/smtp/inbound_rig.h"
#include "tests/support/catch.h"

namespace postern::smtp::inbound_rig {

constexpr std::string_view greeting = "220 mx.example ESMTP\r\n";
constexpr std::string_view ehlo_reply = "250-mx.example\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250 CHUNKING\r\n";

inline Options with_mode(config::TlsMode mode) {
  Options options;
  options.listener.mode = mode;
  return options;
}

// The client has been introduced, and nothing else was said.
inline void introduce(Rig& rig) {
  rig.start_with(greeting);
  rig.client("EHLO client.example\r\n");
  rig.server(ehlo_reply);
  rig.take_client();
  rig.take_server();
}

}  // namespace postern::smtp::inbound_rig
