// The keeper's starting of programs, for the gateway that there is.
#pragma once

#include <vector>

#include "config/settings.h"
#include "config/unique_fd.h"
#include "proxy/net/loop.h"
#include "proxy/net/reaper.h"
#include "proxy/programs/server.h"

namespace postern::keeper {

// Its programs become the user of the configuration, with the groups that it has now, where we are root.
// Errc::not_found where there is no such user. `loop` and `reaper` outlive it.
Result<std::unique_ptr<programs::Server>> start_programs(net::Loop& loop, net::Reaper& reaper,
                                                         const config::Settings& settings);

// Those of its listeners can be started from now on.
void offer_programs(programs::Server& server, const config::Settings& settings);
// Those of listeners that have none yet.
void offer_new_programs(programs::Server& server, const config::Settings& settings);

// Connections for as many workers of a gateway. `on_breach` as Server::connect has it.
Result<std::vector<UniqueFd>> connect_programs(programs::Server& server, unsigned workers,
                                               const programs::Server::OnBreach& on_breach);

}  // namespace postern::keeper
