// An assertion with a sentence, on in release builds too: we would rather stop than go on wrong with mail in our hands.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace postern {

[[noreturn]] inline void assertion_failed(const char* condition, const char* sentence, const char* file, int line) {
  std::fprintf(stderr, "postern: %s:%d: %s (%s)\n", file, line, sentence, condition);
  std::abort();
}

}  // namespace postern

#define POSTERN_ASSERT(condition, sentence) \
  ((condition) ? static_cast<void>(0) : ::postern::assertion_failed(#condition, sentence, __FILE__, __LINE__))
