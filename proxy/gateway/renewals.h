// What may change while a snapshot lives is handed in by whoever watches the files.
#pragma once

#include <string>
#include <vector>

#include "config/files.h"
#include "proxy/runtime/runtime.h"

namespace postern::gateway {

class Renewals {
 public:
  // From now on these take note, and those of before no more.
  void of(std::vector<runtime::LiveFile> files);
  // Those among `changed` that are ours. What was there once and may not be read any more stays as it was. The log says
  // what was renewed, and once what cannot be used. True: something was.
  bool renew(const config::Files& changed);

 private:
  struct Renewed {
    runtime::LiveFile file;
    std::string trouble;  // what was said last; empty: nothing is wrong
  };
  static bool renew(Renewed& renewed, const Result<config::File>& read);

  std::vector<Renewed> files_;
};

}  // namespace postern::gateway
