#include "config/levels.h"

#include <algorithm>
#include <array>

#include "config/assert.h"

namespace postern::config {
namespace {

using enum TlsLevel;
using Dane = LevelRow::Dane;
using Proof = LevelRow::Proof;

constexpr std::array level_rows = {
    // level, name, strength, uses_tls, encrypts, dane, proof
    LevelRow{none, "none", 0, false, false},
    LevelRow{may, "may", 1, true, false},
    LevelRow{encrypt, "encrypt", 2, true, true},
    LevelRow{fingerprint, "fingerprint", 3, true, true, Dane::if_wanted, Proof::fingerprint},
    LevelRow{verify, "verify", 4, true, true, Dane::if_wanted, Proof::host_name},
    LevelRow{secure, "secure", 5, true, true, Dane::if_wanted, Proof::domain_name},
    LevelRow{dane, "dane", 6, true, false, Dane::always},
    LevelRow{dane_only, "dane-only", 7, true, true, Dane::required},
};

static_assert(std::ranges::is_sorted(level_rows, {}, &LevelRow::strength),
              "levels() goes from the weakest to the strongest");

}  // namespace

std::span<const LevelRow> levels() {
  return level_rows;
}

const LevelRow& row_of(TlsLevel level) {
  const auto* const row = std::ranges::find(level_rows, level, &LevelRow::level);
  POSTERN_ASSERT(row != level_rows.end(), "every level has a row");
  return *row;
}

TlsLevel stronger(TlsLevel one, TlsLevel other) {
  return row_of(one).strength < row_of(other).strength ? other : one;
}

std::string_view to_string(TlsLevel value) {
  return row_of(value).name;
}

}  // namespace postern::config
