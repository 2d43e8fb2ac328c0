// How much TLS is demanded toward a remote server: the operator's own words.
#pragma once

#include "config/settings.h"

namespace postern::policy {

using Level = config::TlsLevel;

}  // namespace postern::policy
