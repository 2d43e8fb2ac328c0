// Waiting in a test, for a condition and not for time to pass.
#pragma once

#include <functional>

#include "proxy/net/loop.h"

namespace postern::test_support {

// Turns the loop until `done`, for at most 5 seconds; false: it never was.
inline bool turn_until(net::Loop& loop, const std::function<bool()>& done) {
  const auto end = uv_hrtime() + 5'000'000'000U;
  while (!done() && uv_hrtime() < end) uv_run(loop.raw(), UV_RUN_NOWAIT);
  return done();
}

}  // namespace postern::test_support
