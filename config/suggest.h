// "Did you mean …?": the known word that a mistyped one was meant to be.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

// How many letters must be changed, added, dropped or swapped with their neighbour to turn one word into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `known`, case ignored; empty when none is near (one letter in three may be
// wrong, three at most; a beginning of three letters is near, too) or when two are as near.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known);

// "; did you mean 'listen'?", or nothing when none is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace postern::config
