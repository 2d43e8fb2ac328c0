// The machine's /etc/resolv.conf, which may change while we run: a lease, a tunnel, an administrator.
#pragma once

#include <ctime>
#include <optional>
#include <string>

#include "config/result.h"
#include "proxy/dns/name_servers.h"

namespace postern::resolver {

class ResolvConf {
 public:
  explicit ResolvConf(std::string path = "/etc/resolv.conf") : path_(std::move(path)) {}

  // The name servers in it, where it is not the file that was looked at last; at the first look always. Costs a stat
  // where nothing has changed.
  Result<std::optional<dns::NameServers>> changed();

 private:
  // What tells one file from the one that takes its place, or from itself when it was written to.
  struct Stamp {
    unsigned long device = 0, inode = 0, size = 0;
    long seconds = 0, nanoseconds = 0;
    bool operator==(const Stamp&) const = default;
  };
  std::string path_;
  std::optional<Stamp> seen_;
};

}  // namespace postern::resolver
