// A test that this user or machine cannot carry out says so and is counted: `./dev test` adds these lines up. (SKIP()
// of Catch2 3 is not there in Debian 12's.)
#pragma once

#include <iostream>

#include "tests/support/catch.h"

#ifdef SKIP
#define POSTERN_SKIP_AS_CATCH_DOES(reason) SKIP(reason)
#else
#define POSTERN_SKIP_AS_CATCH_DOES(reason) return
#endif

// Ends the test case, in its own function.
#define POSTERN_SKIP_UNLESS(condition, reason)                                                              \
  do {                                                                                                      \
    if (!(condition)) {                                                                                     \
      std::cout << "skipped: " << Catch::getResultCapture().getCurrentTestName() << " (" << (reason) << ")" \
                << std::endl;                                                                               \
      POSTERN_SKIP_AS_CATCH_DOES(reason);                                                                   \
    }                                                                                                       \
  } while (false)
