#include "config/suggest.h"

#include <algorithm>

#include "config/text.h"

namespace postern::config {
namespace {

// Beyond these the search would take long and help nobody.
constexpr std::size_t longest_word = 64;
constexpr std::size_t most_words = 200;

// The beginning of a word counts as near: "warn" for "warning".
std::size_t distance_to(const std::string& mistyped, const std::string& candidate) {
  constexpr std::size_t telling = 3;
  if (mistyped.size() >= telling && candidate.size() > mistyped.size() && candidate.starts_with(mistyped)) return 1;
  return edit_distance(mistyped, candidate);
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the usual table: the one being filled, the one above, and the one above that for swaps.
  std::vector<std::size_t> current(b.size() + 1), above(b.size() + 1), two_above(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({substitution, above[j] + 1, current[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) current[j] = std::min(current[j], two_above[j - 2] + 1);
    }
    std::swap(two_above, above);
    std::swap(above, current);
  }
  return above[b.size()];
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known) {
  if (word.empty() || word.size() > longest_word || known.size() > most_words) return {};
  const std::string mistyped = lower_case(word);
  std::size_t best_distance = std::clamp<std::size_t>(word.size() / 3, 1, 3) + 1;
  std::string_view best;
  for (const std::string_view candidate : known) {
    const std::size_t distance = distance_to(mistyped, lower_case(candidate));
    if (distance > best_distance || distance >= candidate.size()) continue;
    // Of two that are as near, neither is proposed: TLSv1.4 is not a slip for TLSv1.0.
    best = distance < best_distance ? candidate : std::string_view();
    best_distance = distance;
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known) {
  const std::string_view best = nearest(word, known);
  return best.empty() ? "" : "; did you mean '" + std::string(best) + "'?";
}

}  // namespace postern::config
