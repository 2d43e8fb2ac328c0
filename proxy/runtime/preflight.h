// Everything that can be found wrong before anything is bound: what `check` does, and `run` first.
#pragma once

#include <string>

#include "config/files.h"
#include "config/load.h"
#include "proxy/dns/name_servers.h"
#include "proxy/runtime/runtime.h"

namespace postern::runtime {

// Reads `file` and all that it names, makes a snapshot of that, and looks for what it counts on: the user, the state
// directory, programs, DNS. The user that is dropped to need not be able to read any of the files. `previous`: the
// snapshot that is to be followed, or null. What is made is yet to be equipped.
Made prepare(const std::string& file, const Runtime* previous = nullptr);
// The same for settings that have been loaded. What was read of files is left in `files`.
Made prepare(config::Loaded loaded, config::Files& files, const Runtime* previous = nullptr);
Made prepare(config::Loaded loaded, const Runtime* previous = nullptr);

// For a snapshot that serves and some of whose files have changed: looks for nothing but what these have to do with.
Made prepare_again(config::Loaded loaded, const config::Files& files, const Runtime& previous);

// Whom to ask, and where that stands.
Result<dns::NameServers> name_servers_of(const config::Loaded& loaded);

// Errors and warnings on stderr, a line each.
void print_diagnostics(const config::Loaded& loaded);
// The same for `run`, which promises that with `log.format: json` every line is JSON.
void log_diagnostics(const config::Loaded& loaded);

}  // namespace postern::runtime
