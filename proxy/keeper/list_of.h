// How names and paths stand in a line of the log: "mx, mx2".
#pragma once

#include <string>

namespace postern::keeper {

template <class Texts>
std::string list_of(const Texts& texts) {
  std::string text;
  for (const std::string& each : texts) text += (text.empty() ? "" : ", ") + each;
  return text;
}

}  // namespace postern::keeper
