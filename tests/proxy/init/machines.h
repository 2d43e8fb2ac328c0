// Machines as `postern init` could find them.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "proxy/init/facts.h"
#include "proxy/init/postfix_files.h"

namespace postern::init::machines {

inline std::chrono::sys_seconds now() {
  return std::chrono::sys_days(std::chrono::year{2026} / 11 / 28);
}

inline Facts bare_machine() {
  Facts facts;
  facts.hostname = "mx.example.org";
  facts.is_root = true;
  facts.users = {"postern", "qmaild", "Debian-exim"};
  return facts;
}

inline Facts with_qmail(Facts facts) {
  facts.qmail = {true, "mx.example.org", true, false, {"/service/qmail-smtpd"}};
  return facts;
}

inline Facts with_postfix(Facts facts, std::string_view master, std::string_view main = {}) {
  facts.postfix.found = true;
  facts.postfix.services = parse_master_cf(master, parse_main_cf(main));
  return facts;
}

inline Facts with_exim(Facts facts, bool knows_proxy) {
  facts.exim = {true, "/usr/sbin/exim4", knows_proxy, true};
  return facts;
}

inline FoundCertificate a_certificate(const std::string& folder, std::vector<std::string> names) {
  FoundCertificate found;
  found.files = {folder + "/fullchain.pem", folder + "/privkey.pem"};
  found.names = std::move(names);
  found.not_before = now() - std::chrono::hours(24);
  found.not_after = now() + std::chrono::hours(24 * 60);
  return found;
}

inline Listening listens(std::uint16_t port, const std::string& program) {
  Listening socket;
  socket.at.port = port;
  socket.program = program;
  socket.process = 4711;
  return socket;
}

}  // namespace postern::init::machines
