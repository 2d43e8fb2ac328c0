// Puts what was made where it belongs: whole, or not at all.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "config/result.h"

namespace postern::init {

// Whether a configuration may go there: Errc::refused where somebody has changed the file since it was written for
// them.
Result<void> may_be_written(const std::string& path);

// Readers see the old file or the new one, with its mode from the first moment on. One that was there keeps its mode
// and owner, and stays beside unless `postern init` wrote it: as PATH.old, or by the next name that nobody has
// (PATH.old.1). Folders on the way are made.
Result<void> put_configuration(const std::string& path, std::string_view text);

// What was done to have a pair that vouches for itself.
struct PutPair {
  bool made = false;           // or the one that was there is good
  std::string old_chain = {};  // where what was there stays; empty: nothing was
  std::string old_key = {};
};

// A pair that vouches for itself, for `name`. One that is there already is kept while it can be used for it, and only
// such a one is replaced; it stays beside as a configuration does.
Result<PutPair> put_self_signed(const std::string& chain, const std::string& key, const std::string& name);

// As if that had not been done.
void take_back(const std::string& chain, const std::string& key, const PutPair& done);

}  // namespace postern::init
