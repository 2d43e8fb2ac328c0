// How many descriptors we may hold: two a session.
#pragma once

#include <cstdint>

namespace postern::process {

// Raises the soft limit on open files to the hard one; returns the limit that then holds.
std::uint64_t raise_file_limit();

}  // namespace postern::process
