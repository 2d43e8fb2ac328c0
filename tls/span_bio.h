// The BIO under an engine: reads the span that has just been received, appends to the round's output. No copy of ours
// on the way in, and everything the library wants sent ends up in one place.
#pragma once

#include <string_view>

#include "tls/output_buffer.h"

typedef struct bio_st BIO;

namespace postern::tls {

class KeyUse;  // tls/key_use.h

// What the BIO works on while the library is being called; empty between the calls.
struct SpanBioRound {
  std::string_view input;          // shrinks as the library reads
  OutputBuffer* output = nullptr;  // null: nothing may be written now
  KeyUse* key_use = nullptr;       // of the engine that works; null: it has none
};

// What the BIO works on just now.
SpanBioRound& round_of(BIO* bio);

// A BIO over `round`, which must outlive it. At the end of the input a read says "retry".
BIO* new_span_bio(SpanBioRound* round);

}  // namespace postern::tls
