// How Postern's own connections are told from those of the server beside it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "config/load.h"
#include "proxy/intercept/plan.h"

namespace postern::intercept {

// To these ports. `user` is the number of the user that Postern runs as. Nothing: they cannot be told apart, would be
// led back to Postern itself, and `loaded` has an error that says so.
std::optional<Own> own_traffic(config::Loaded& loaded, const std::vector<std::uint16_t>& ports,
                               const std::optional<std::uint32_t>& user);

}  // namespace postern::intercept
