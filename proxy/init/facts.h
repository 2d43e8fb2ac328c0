// What was found on this machine.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "config/settings.h"
#include "tls/certificate_pair.h"

namespace postern::init {

// Somebody accepts connections there.
struct Listening {
  config::Endpoint at = {};  // Endpoint::Kind::ip
  std::uint64_t inode = 0;
  std::string program = {};  // "master"; empty: not for us to see
  int process = 0;           // 0: likewise
};

// A chain with its key, as some program keeps them.
struct FoundCertificate : tls::PairFacts {
  config::CertificatePair files = {};
};

// A line of master.cf that accepts connections.
struct PostfixService {
  std::string address = {};  // "smtp", "127.0.0.1:2525", "submission"
  std::string program = {};  // "smtpd", "postscreen"
  std::size_t line = 0;
  std::string text = {};  // the line as it stands, without those that continue it
  std::vector<std::string> words = {};
  bool takes_proxy = false;     // smtpd_upstream_proxy_protocol = haproxy holds for it
  bool trusts_xclient = false;  // smtpd_authorized_xclient_hosts has 127.0.0.1
};

struct PostfixFacts {
  bool found = false;
  std::string hostname = {};  // myhostname, where it is written out
  std::vector<PostfixService> services = {};
};

struct QmailFacts {
  bool found = false;         // /var/qmail/bin/qmail-smtpd
  std::string hostname = {};  // control/me
  bool has_rcpthosts = false;
  bool relays_by_rules = false;            // tcp.smtp says RELAYCLIENT
  std::vector<std::string> services = {};  // folders of those that run it: "/service/qmail-smtpd"
};

struct EximFacts {
  bool found = false;
  std::string program = {};  // "/usr/sbin/exim4"
  bool knows_proxy = false;  // it has hosts_proxy
  bool by_debian = false;    // /etc/exim4/update-exim4.conf.conf
};

struct Facts {
  std::string hostname = {};  // what the machine is called, in full where that is known
  bool is_root = false;
  bool has_ipv6 = true;
  std::set<std::string> users = {};  // of those that matter: postern, qmaild, Debian-exim
  std::vector<Listening> listening = {};
  std::vector<FoundCertificate> certificates = {};
  PostfixFacts postfix = {};
  QmailFacts qmail = {};
  EximFacts exim = {};
  bool has_state_directory = false;  // /var/lib/postern
  bool has_trust_anchor = false;     // dns-root-data
  bool has_control_folder = false;   // /run/postern is there, or the service makes it
  bool has_service = false;          // systemd knows postern.service
  bool confines_programs = false;    // … and /usr/share/postern/exec.conf is there, for those of `exec`

  // Null: nobody listens there.
  const Listening* listener_on(std::uint16_t port) const;
  bool has_user(const std::string& name) const { return users.contains(name); }
};

// What a server that was asked has said to EHLO.
struct ServerFacts {
  bool answers = false;  // a greeting and a reply to EHLO, both 2xx
  bool has_xclient = false;
};

}  // namespace postern::init
