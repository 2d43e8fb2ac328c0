// Asking the system for a name before any loop runs: /etc/hosts, DNS, and whatever else nsswitch.conf says.
#pragma once

#include <future>
#include <string>

namespace postern::process {

struct NameAnswer {
  std::string failure;         // why the name has no address, in the system's words; empty: it has one
  std::string canonical_name;  // may be empty
};

// Asks in a thread of its own, for which nobody has to wait: an answer that comes too late goes nowhere.
std::future<NameAnswer> look_up_name(const std::string& host);

}  // namespace postern::process
