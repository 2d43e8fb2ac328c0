// How much TLS is demanded toward a remote server: the operator's own words, and what they mean.
#pragma once

#include "config/levels.h"

namespace postern::policy {

using Level = config::TlsLevel;
using Proof = config::LevelRow::Proof;
using config::row_of;

}  // namespace postern::policy
