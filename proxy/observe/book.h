// The numbers behind metrics.h. A worker has a book for each listener, and one for what belongs to none; they are that
// worker's alone, plain numbers without lock or atomic. Whoever wants to read them gets copies (Worker::gather), and
// adds those of all workers up.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/observe/metrics.h"
#include "proxy/observe/recent.h"

namespace postern::observe {

class Book {
 public:
  // One value for each label of the row, in their order.
  using Labels = std::initializer_list<std::string_view>;

  void add(Metric counter, Labels labels = {}, std::uint64_t amount = 1);
  void take(Metric gauge, Labels labels = {});  // one off
  void time(Metric histogram, Labels labels, std::uint64_t milliseconds);
  // `when` in milliseconds of a clock that workers share; 0: nobody has looked yet.
  void tell(Metric state, Labels labels, bool yes, std::uint64_t when);

  // Beside the numbers: what has a name.
  Recent& recent() { return recent_; }
  const Recent& recent() const { return recent_; }

  // Adds another worker's numbers.
  void add(const Book& other);

  // One number. Of a histogram: how many times were noted, of which `seconds` is the sum.
  struct Sample {
    const Row& row;
    std::array<std::string_view, 5> labels;
    std::uint64_t value = 0;
    double seconds = 0;
    std::vector<std::uint64_t> buckets = {};  // of a histogram: for each bound, and above, not added up
  };
  // In the order of the rows and of their labels' values; what never happened is left out. The views live as long as
  // the book and nothing is added to it.
  std::vector<Sample> samples() const;
  // Of the metric's numbers. `labels`: the values of its first labels; an empty one stands for all.
  std::uint64_t sum(Metric metric, Labels labels = {}) const;

 private:
  // The row, five labels and, of a histogram, the bucket: an octet each.
  using Key = std::uint64_t;
  struct Cell {
    Key key;
    std::uint64_t value;
  };

  Key key_of(Metric metric, Labels labels);
  std::uint64_t& at(Key key);
  std::uint8_t index_of(const Label& label, std::string_view value);
  std::string_view value_of(const Label& label, std::uint8_t index) const;

  std::vector<Cell> cells_;         // by key: few, as most of what may happen never does
  std::vector<std::string> names_;  // values that come from the configuration
  Recent recent_;
};

class Books {
 public:
  // The listener's, made when it is first asked for; it stays where it is. A listener that is gone keeps its numbers.
  Book& of(std::string_view direction, std::string_view listener);
  Book& own() { return own_; }

  void add(const Books& other);

  // Of all books.
  std::uint64_t sum(Metric metric, Book::Labels labels = {}) const;
  // Likewise for each value of the row's first label, in their order; those that never came are left out.
  std::vector<std::pair<std::string, std::uint64_t>> sums(Metric metric) const;

  const std::map<std::string, Book, std::less<>>& listeners() const { return listeners_; }  // "inbound.mx"
  const Book& own() const { return own_; }

 private:
  std::map<std::string, Book, std::less<>> listeners_;
  Book own_;
};

}  // namespace postern::observe
