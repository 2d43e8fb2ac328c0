// What this machine calls itself.
#pragma once

#include <optional>
#include <string>

namespace postern::process {

// The fully qualified name (gethostname, completed by the resolver), else the bare host name, else
// "localhost.localdomain". Always a valid host name. May ask DNS and wait for it: for start-up only.
std::string host_name();

// What this machine is called, made fit for print, where that is no domain name and host_name() has to do without it.
std::optional<std::string> unusable_host_name();

}  // namespace postern::process
