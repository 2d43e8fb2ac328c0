// How far an outbound conversation has come before a test begins.
#pragma once

#include <string>
#include <string_view>

#include "tests/proxy/smtp/outbound_rig.h"
#include "tests/support/catch.h"

namespace postern::smtp::outbound_rig {

constexpr std::string_view greeting = "220 mx.example ESMTP\r\n";
constexpr std::string_view plain_hello = "250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n";
constexpr std::string_view tls_hello = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 CHUNKING\r\n";
constexpr std::string_view shown_hello = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 CHUNKING\r\n";

inline void greeted(Rig& rig) {
  rig.start();
  rig.connected();
  rig.server(greeting);
  CHECK(rig.take_client() == greeting);
}

// Up to the EHLO inside TLS.
inline void secured(Rig& rig, std::string_view reply = tls_hello) {
  CHECK(rig.take_server() == "EHLO client.example\r\n");
  rig.server(plain_hello);
  CHECK(rig.take_server() == "STARTTLS\r\n");
  rig.server("220 go\r\n");
  rig.tls(Side::server);
  CHECK(rig.take_server() == "EHLO client.example\r\n");
  rig.server(reply);
}

// The client has been introduced over TLS, and nothing else was said.
inline void introduced(Rig& rig, std::string_view reply = tls_hello) {
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  secured(rig, reply);
  rig.proceed();
  rig.take_client();
  rig.take_server();
  rig.take_events();
}

// … and a recipient has been accepted.
inline void accepted(Rig& rig) {
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.proceed();
  rig.server("250 sender\r\n250 recipient\r\n");
  rig.take_client();
  rig.take_server();
  rig.take_events();
}

}  // namespace postern::smtp::outbound_rig
