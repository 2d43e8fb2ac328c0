#include "proxy/observe/exposition.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>
#include <vector>

namespace postern::observe {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

constexpr std::string_view prefix = "postern_";
constexpr std::size_t most_at_once = 64;  // combinations of labels that are shown before they happen

prometheus::MetricType type_of(Type type) {
  switch (type) {
    case Type::counter: return prometheus::MetricType::Counter;
    case Type::histogram: return prometheus::MetricType::Histogram;
    case Type::gauge:
    case Type::state: break;
  }
  return prometheus::MetricType::Gauge;
}

// The labels that say whose book it is. `path`: "inbound.mx"; empty: the worker's own.
std::vector<ClientMetric::Label> owner_labels(const Row& row, std::string_view path) {
  if (path.empty()) return {};
  const std::size_t dot = path.find('.');
  std::vector<ClientMetric::Label> labels;
  if (row.names_direction) labels.push_back({"direction", std::string(path.substr(0, dot))});
  labels.push_back({"listener", std::string(path.substr(dot + 1))});
  return labels;
}

ClientMetric::Histogram histogram_of(const Book::Sample& sample) {
  ClientMetric::Histogram histogram;
  histogram.sample_count = sample.value;
  histogram.sample_sum = sample.seconds;
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i <= sample.row.bounds.size(); ++i) {
    so_far += sample.buckets[i];
    const bool last = i == sample.row.bounds.size();
    histogram.bucket.push_back({so_far, last ? std::numeric_limits<double>::infinity() : sample.row.bounds[i]});
  }
  return histogram;
}

// All combinations of the values of its labels; empty: too many, or not closed.
std::vector<std::vector<std::string_view>> combinations(const Row& row) {
  std::vector<std::vector<std::string_view>> all = {{}};
  for (const Label& label : row.labels) {
    if (label.name.empty()) break;
    if (label.value == nullptr || all.size() * label.size > most_at_once) return {};
    std::vector<std::vector<std::string_view>> longer;
    for (const auto& each : all) {
      for (std::size_t i = 0; i < label.size; ++i) {
        longer.push_back(each);
        longer.back().push_back(label.value(i));
      }
    }
    all = std::move(longer);
  }
  return all;
}

class Exposition {
 public:
  Exposition() : families_(std::size(metrics)) {
    for (std::size_t i = 0; i < std::size(metrics); ++i) {
      families_[i].name = std::string(prefix) + std::string(metrics[i].name);
      families_[i].help = metrics[i].help;
      families_[i].type = type_of(metrics[i].type);
    }
  }

  void add(const Book& book, std::string_view path) {
    std::set<std::pair<const Row*, std::vector<std::string_view>>> there;
    for (const Book::Sample& sample : book.samples()) {
      std::vector<std::string_view> values;
      for (std::size_t i = 0; i < sample.labels.size() && !sample.row.labels[i].name.empty(); ++i) {
        values.push_back(sample.labels[i]);
      }
      ClientMetric& metric = add(sample.row, values, path);
      if (sample.row.type == Type::histogram) metric.histogram = histogram_of(sample);
      (sample.row.type == Type::counter ? metric.counter.value : metric.gauge.value) =
          static_cast<double>(sample.value);
      there.emplace(&sample.row, std::move(values));
    }
    const Owner owner = path.empty() ? Owner::process : Owner::listener;
    for (const Row& row : metrics) {
      // An inbound listener of the same name has no part in what is counted outbound alone.
      if (!row.names_direction && path.starts_with("inbound.")) continue;
      if (row.owner != owner || (row.type != Type::counter && row.type != Type::gauge)) continue;
      for (const auto& values : combinations(row)) {
        if (!there.contains({&row, values})) add(row, values, path);
      }
    }
  }

  void add(const Facts& facts) {
    for (const FactRow& row : fact_rows) {
      MetricFamily family;
      family.name = row.name;
      family.help = row.help;
      family.type = type_of(row.type);
      for (const Facts::Value& value : facts.values()) {
        if (value.row != &row) continue;
        ClientMetric metric;
        for (std::size_t i = 0; i < value.labels.size(); ++i) {
          metric.label.push_back({std::string(row.labels[i]), value.labels[i]});
        }
        (row.type == Type::counter ? metric.counter.value : metric.gauge.value) = value.value;
        family.metric.push_back(std::move(metric));
      }
      families_.push_back(std::move(family));
    }
  }

  std::string print() {
    std::erase_if(families_, [](const MetricFamily& family) { return family.metric.empty(); });
    return prometheus::TextSerializer().Serialize(families_);
  }

 private:
  ClientMetric& add(const Row& row, const std::vector<std::string_view>& values, std::string_view path) {
    ClientMetric metric;
    metric.label = owner_labels(row, path);
    for (std::size_t i = 0; i < values.size(); ++i) {
      metric.label.push_back({std::string(row.labels[i].name), std::string(values[i])});
    }
    auto& family = families_[static_cast<std::size_t>(&row - std::begin(metrics))];
    family.metric.push_back(std::move(metric));
    return family.metric.back();
  }

  std::vector<MetricFamily> families_;
};

std::string_view word_of(Type type) {
  switch (type) {
    case Type::counter: return "counter";
    case Type::histogram: return "histogram";
    case Type::gauge:
    case Type::state: break;
  }
  return "gauge";
}

std::string reference_of(const Label& label) {
  std::string text = "`" + std::string(label.name) + "`";
  if (label.value == nullptr) return text + " (of the configuration)";
  for (std::size_t i = 0; i < label.size; ++i) {
    text += (i == 0 ? ": `" : ", `") + std::string(label.value(i)) + "`";
  }
  return text + ", `other`";
}

std::string line_of(std::string_view name, Type type, std::string_view help, const std::string& labels) {
  return "| `" + std::string(name) + "` | " + std::string(word_of(type)) + " | " + std::string(help) + " | " + labels +
         " |\n";
}

}  // namespace

std::string print_metrics(const Books& books, const Facts& facts) {
  Exposition exposition;
  for (const auto& [path, book] : books.listeners()) exposition.add(book, path);
  exposition.add(books.own(), {});
  exposition.add(facts);
  return exposition.print();
}

std::string print_metric_reference() {
  std::string text =
      "# Metrics\n\n"
      "At `/metrics` of `admin.listen`, in Prometheus' text format; times are in seconds, sizes in octets. "
      "This page is printed from the\n"
      "table in the program (`postern check --print-metrics`). Labels have no values but these: "
      "never an address, a domain or a name that a\n"
      "client said.\n\n"
      "| metric | type | meaning | labels |\n|---|---|---|---|\n";
  for (const Row& row : metrics) {
    std::string labels;
    if (row.owner == Owner::listener) labels = row.names_direction ? "`direction`, `listener`" : "`listener`";
    for (const Label& label : row.labels) {
      if (!label.name.empty()) labels += (labels.empty() ? "" : "; ") + reference_of(label);
    }
    text += line_of(std::string(prefix) + std::string(row.name), row.type, row.help, labels);
  }
  for (const FactRow& row : fact_rows) {
    std::string labels;
    for (const std::string_view label : row.labels) {
      if (!label.empty()) labels += (labels.empty() ? "`" : ", `") + std::string(label) + "`";
    }
    text += line_of(row.name, row.type, row.help, labels);
  }
  return text;
}

}  // namespace postern::observe
