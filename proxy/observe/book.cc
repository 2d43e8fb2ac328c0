#include "proxy/observe/book.h"

#include <algorithm>

#include "config/assert.h"

namespace postern::observe {

namespace {

constexpr std::size_t label_count = 5;
constexpr unsigned row_shift = 48;
constexpr std::uint8_t sum_slot = 0xff;  // of a histogram, in place of a bucket: milliseconds
constexpr std::string_view other = "other";

constexpr unsigned shift_of(std::size_t label) {
  return 40 - 8 * static_cast<unsigned>(label);
}
constexpr std::uint8_t octet(std::uint64_t key, unsigned shift) {
  return static_cast<std::uint8_t>(key >> shift);
}
constexpr const Row& row_of(std::uint64_t key) {
  return metrics[key >> row_shift];
}

constexpr bool rows_fit() {
  for (const Row& row : metrics) {
    for (const Label& label : row.labels) {
      if (label.size >= 0xff) return false;
    }
    if (row.bounds.size() >= sum_slot || (row.type == Type::histogram) == row.bounds.empty()) return false;
  }
  return true;
}
static_assert(rows_fit(), "a row of metrics has more values than its cells can have");

std::uint64_t merged(Type type, std::uint64_t ours, std::uint64_t theirs) {
  return type == Type::state ? std::max(ours, theirs) : ours + theirs;
}

}  // namespace

void Book::add(Metric counter, Labels labels, std::uint64_t amount) {
  at(key_of(counter, labels)) += amount;
}

void Book::take(Metric gauge, Labels labels) {
  --at(key_of(gauge, labels));
}

void Book::time(Metric histogram, Labels labels, std::uint64_t milliseconds) {
  const auto bounds = histogram.row().bounds;
  const auto bucket = std::ranges::lower_bound(bounds, static_cast<double>(milliseconds) / 1000.0) - bounds.begin();
  const Key key = key_of(histogram, labels);
  ++at(key | static_cast<Key>(bucket));
  at(key | sum_slot) += milliseconds;
}

// The time before the answer, so that the greatest is the last.
void Book::tell(Metric state, Labels labels, bool yes, std::uint64_t when) {
  at(key_of(state, labels)) = when << 1U | Key{yes};
}

void Book::add(const Book& other_book) {
  for (const Cell& theirs : other_book.cells_) {
    const Row& row = row_of(theirs.key);
    Key key = theirs.key;
    for (std::size_t i = 0; i < label_count; ++i) {
      if (row.labels[i].name.empty() || row.labels[i].value != nullptr) continue;
      const std::uint8_t index = index_of(row.labels[i], other_book.names_[octet(key, shift_of(i))]);
      key = (key & ~(Key{0xff} << shift_of(i))) | Key{index} << shift_of(i);
    }
    std::uint64_t& ours = at(key);
    ours = merged(row.type, ours, theirs.value);
  }
  recent_.add(other_book.recent_);
}

Book::Key Book::key_of(Metric metric, Labels labels) {
  Key key = Key{metric.index()} << row_shift;
  std::size_t i = 0;
  for (const std::string_view value : labels) {
    POSTERN_ASSERT(i < label_count && !metric.row().labels[i].name.empty(), "a metric has fewer labels than that");
    key |= Key{index_of(metric.row().labels[i], value)} << shift_of(i);
    ++i;
  }
  POSTERN_ASSERT(i == label_count || metric.row().labels[i].name.empty(), "a metric has more labels than that");
  return key;
}

std::uint8_t Book::index_of(const Label& label, std::string_view value) {
  if (label.value == nullptr) {
    const auto found = std::ranges::find(names_, value);
    const auto index = static_cast<std::size_t>(found - names_.begin());
    if (index == 0xff) return index_of(label, names_.back());  // more than any configuration has
    if (found == names_.end()) names_.emplace_back(value);
    return static_cast<std::uint8_t>(index);
  }
  std::size_t index = 0;
  while (index < label.size && label.value(index) != value) ++index;
  return static_cast<std::uint8_t>(index);
}

std::string_view Book::value_of(const Label& label, std::uint8_t index) const {
  if (label.name.empty()) return {};
  if (label.value == nullptr) return names_[index];
  return index < label.size ? label.value(index) : other;
}

std::uint64_t& Book::at(Key key) {
  const auto place = std::ranges::lower_bound(cells_, key, {}, &Cell::key);
  if (place != cells_.end() && place->key == key) return place->value;
  return cells_.insert(place, Cell{key, 0})->value;
}

std::vector<Book::Sample> Book::samples() const {
  std::vector<Sample> samples;
  Key last = 0;
  for (const Cell& cell : cells_) {
    const Row& row = row_of(cell.key);
    const Key without_slot = cell.key & ~Key{0xff};
    if (samples.empty() || row.type != Type::histogram || without_slot != last) {
      Sample sample{row, {}};
      for (std::size_t i = 0; i < label_count; ++i) {
        sample.labels[i] = value_of(row.labels[i], octet(cell.key, shift_of(i)));
      }
      samples.push_back(std::move(sample));
    }
    last = without_slot;
    Sample& sample = samples.back();
    if (row.type == Type::state) {
      sample.value = cell.value & 1U;
    } else if (row.type != Type::histogram) {
      sample.value = cell.value;
    } else if (octet(cell.key, 0) == sum_slot) {
      sample.seconds = static_cast<double>(cell.value) / 1000.0;
    } else {
      sample.buckets.resize(row.bounds.size() + 1);
      sample.buckets[octet(cell.key, 0)] = cell.value;
      sample.value += cell.value;
    }
  }
  return samples;
}

Book& Books::of(std::string_view direction, std::string_view listener) {
  std::string path(direction);
  path.append(".").append(listener);
  return listeners_[std::move(path)];
}

void Books::add(const Books& other_books) {
  for (const auto& [path, book] : other_books.listeners_) listeners_[path].add(book);
  own_.add(other_books.own_);
}

std::uint64_t Book::sum(Metric metric, Labels labels) const {
  std::uint64_t sum = 0;
  for (const Sample& sample : samples()) {
    if (&sample.row != &metric.row()) continue;
    const bool fits = std::equal(labels.begin(), labels.end(), sample.labels.begin(),
                                 [](auto wanted, auto value) { return wanted.empty() || wanted == value; });
    if (fits) sum += sample.value;
  }
  return sum;
}

std::uint64_t Books::sum(Metric metric, Book::Labels labels) const {
  std::uint64_t sum = own_.sum(metric, labels);
  for (const auto& [path, book] : listeners_) sum += book.sum(metric, labels);
  return sum;
}

std::vector<std::pair<std::string, std::uint64_t>> Books::sums(Metric metric) const {
  std::vector<std::pair<std::string, std::uint64_t>> sums;
  const Label& label = metric.row().labels[0];
  for (std::size_t i = 0; i <= label.size; ++i) {
    const std::string_view value = i < label.size ? label.value(i) : other;
    if (const std::uint64_t count = this->sum(metric, {value}); count != 0) sums.emplace_back(value, count);
  }
  return sums;
}

}  // namespace postern::observe
