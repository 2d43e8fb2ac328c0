// Small pictures in SVG, without a word of style or script in them: classes say what they are. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::status {

// A line over what was, the oldest first. `title` says what it shows, and is read out to who cannot see it.
std::string draw_line(const std::vector<double>& values, std::string_view title);
// A bar of which that share (0 to 1) is full. `kind`: a class for the full part, "good", "bad" or empty.
std::string draw_bar(double share, std::string_view kind = {});

}  // namespace postern::status
