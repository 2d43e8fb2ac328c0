// What this machine calls itself.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace postern::process {

// Told when DNS lets us wait for more than a second, and again when it was given up.
using Waiting = std::function<void(const std::string& host, bool given_up)>;

// The fully qualified name (gethostname, completed by the resolver), else the bare host name, else
// "localhost.localdomain". Always a valid host name. May ask DNS, and waits for it up to five seconds: for start-up
// only.
std::string host_name(const Waiting& waiting = {});

// What this machine is called, made fit for print, where that is no domain name and host_name() has to do without it.
std::optional<std::string> unusable_host_name();

}  // namespace postern::process
