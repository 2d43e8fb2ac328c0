#include "proxy/policy/level.h"

namespace postern::policy {

std::string_view to_string(Level level) {
  switch (level) {
    case Level::none: return "none";
    case Level::may: return "may";
    case Level::encrypt: return "encrypt";
    case Level::fingerprint: return "fingerprint";
    case Level::verify: return "verify";
    case Level::secure: return "secure";
    case Level::dane: return "dane";
    case Level::dane_only: return "dane-only";
  }
  return "unknown";
}

std::optional<Level> parse_level(std::string_view text) {
  for (const Level level : {Level::none, Level::may, Level::encrypt, Level::fingerprint, Level::verify, Level::secure,
                            Level::dane, Level::dane_only})
    if (text == to_string(level)) return level;
  return std::nullopt;
}

}  // namespace postern::policy
