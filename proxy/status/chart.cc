#include "proxy/status/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "proxy/status/visible.h"

namespace postern::status {

namespace {

constexpr double width = 180;
constexpr double height = 36;

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

}  // namespace

std::string draw_line(const std::vector<double>& values, std::string_view title) {
  std::string svg = "<svg class=\"line\" viewBox=\"0 0 " + number(width) + " " + number(height) +
                    "\" preserveAspectRatio=\"none\" role=\"img\"><title>";
  append_html(svg, title);
  svg += "</title>";
  const double most = values.empty() ? 0 : *std::ranges::max_element(values);
  if (values.size() > 1) {
    const double step = width / static_cast<double>(values.size() - 1);
    std::string points;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double share = most > 0 ? values[i] / most : 0;
      points += number(static_cast<double>(i) * step) + "," + number(height - 1 - share * (height - 2)) + " ";
    }
    svg += "<polygon points=\"0," + number(height) + " " + points + number(width) + "," + number(height) + "\"/>";
    svg += "<polyline points=\"" + points + "\"/>";
  }
  return svg + "</svg>";
}

std::string draw_bar(double share, std::string_view kind) {
  const double full = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) * 100 : 0;
  return "<svg class=\"bar " + std::string(kind) + "\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" " +
         "aria-hidden=\"true\"><rect class=\"all\" width=\"100\" height=\"8\"/><rect class=\"full\" width=\"" +
         number(full) + "\" height=\"8\"/></svg>";
}

}  // namespace postern::status
