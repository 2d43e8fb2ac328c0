// What this machine calls itself.
#pragma once

#include <string>

namespace postern::process {

// The fully qualified name (gethostname, completed by the resolver), else the bare host name, else
// "localhost.localdomain". Always a valid host name. May ask DNS and wait for it: for start-up only.
std::string host_name();

}  // namespace postern::process
