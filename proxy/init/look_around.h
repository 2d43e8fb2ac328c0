// Looks at this machine: reads files and the kernel's tables, changes nothing, starts nothing, asks nobody.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/init/facts.h"

namespace postern::init {

// What is asked of the machine beside its files.
struct Machine {
  std::string root;  // where its / is; paths in facts are without it
  bool is_root = false;
  std::string hostname = {};  // in full where that is known
  std::function<bool(const std::string& user)> has_user;
};
Facts look_around(const Machine& machine);

// Those that certbot, dehydrated, Postfix, Exim and qmail keep, and those in /etc/postern and /etc/ssl.
std::vector<FoundCertificate> look_for_certificates(const std::string& root);

// One pair, with what is wrong with it.
FoundCertificate look_at_certificate(const config::CertificatePair& files, const std::string& root);

// Which programs have these sockets; what we may not see stays empty.
void name_programs(std::vector<Listening>& listening, const std::string& root);

}  // namespace postern::init
