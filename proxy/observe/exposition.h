// Metrics as Prometheus reads them (text format 0.0.4). The one place that knows its client library.
#pragma once

#include <string>

#include "proxy/observe/book.h"
#include "proxy/observe/facts.h"

namespace postern::observe {

inline constexpr std::string_view exposition_type = "text/plain; version=0.0.4; charset=utf-8";

// `books`: of all workers, added up. A listener's counters whose labels have few values are there from the beginning,
// as 0, so that the first time something happens shows as an increase.
std::string print_metrics(const Books& books, const Facts& facts);

// docs/metrics.md: every metric with its labels and their values.
std::string print_metric_reference();

}  // namespace postern::observe
