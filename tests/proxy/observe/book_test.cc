#include "proxy/observe/book.h"

#include <set>
#include <string>

#include "tests/support/catch.h"

namespace book_test {

using namespace postern;
using observe::Book;
using observe::Books;
using observe::metrics;
using observe::Type;

TEST_CASE("book: what happened is counted by its labels, and what never did is left out") {
  Book book;
  book.add("tls_handshake_failures_total", {"client", "timeout"});
  book.add("tls_handshake_failures_total", {"client", "timeout"});
  book.add("tls_handshake_failures_total", {"server", "not_tls"});
  book.add("bytes_total", {"in"}, 1000);
  CHECK(book.sum("tls_handshake_failures_total", {"client", "timeout"}) == 2);
  CHECK(book.sum("tls_handshake_failures_total", {"server"}) == 1);
  CHECK(book.sum("tls_handshake_failures_total", {"", "timeout"}) == 2);
  CHECK(book.sum("tls_handshake_failures_total") == 3);
  CHECK(book.sum("bytes_total", {"in"}) == 1000);
  CHECK(book.sum("bytes_total", {"out"}) == 0);
  CHECK(book.samples().size() == 3);
}

TEST_CASE("book: whatever a peer comes with, a label has one of its closed set of values") {
  Book book;
  book.add("tls_handshakes_total", {"client", "TLSv1.3", "TLS_NEW_ONE", "kyber; DROP TABLE", "false"});
  book.add("tls_handshakes_total", {"client", "TLSv1.9", "TLS_NEWER_ONE", "", "false"});
  CHECK(book.sum("tls_handshakes_total", {"client", "TLSv1.3", "other", "other", "false"}) == 1);
  CHECK(book.sum("tls_handshakes_total", {"client", "other", "other", "other", "false"}) == 1);
}

TEST_CASE("book: a gauge goes up and down") {
  Book book;
  book.add("sessions_active");
  book.add("sessions_active");
  book.take("sessions_active");
  CHECK(book.sum("sessions_active") == 1);
}

TEST_CASE("book: a histogram has a place for every duration") {
  Book book;
  for (const std::uint64_t milliseconds : {0U, 5U, 6U, 30'000U, 30'001U, 4'000'000'000U}) {
    book.time("tls_handshake_duration_seconds", {"client"}, milliseconds);
  }
  const auto samples = book.samples();
  REQUIRE(samples.size() == 1);
  CHECK(samples[0].value == 6);
  CHECK(samples[0].seconds == 4'000'060.012);
  const auto& buckets = samples[0].buckets;
  REQUIRE(buckets.size() == samples[0].row.bounds.size() + 1);
  CHECK(buckets.front() == 2);  // a bound belongs to its bucket
  CHECK(buckets[1] == 1);
  CHECK(buckets[buckets.size() - 2] == 1);
  CHECK(buckets.back() == 2);
}

TEST_CASE("books: two listeners are told apart, and those of two workers add up by name") {
  Books one;
  Books other;
  one.of("inbound", "submission").add("sessions_total");
  one.of("inbound", "mx").add("sessions_total");
  one.of("outbound", "mx").add("rejections_total", {"timeout"}, 5);
  other.of("inbound", "mx").add("sessions_total", {}, 2);
  other.of("inbound", "mx").time("backend_connect_duration_seconds", {}, 20);
  one.of("inbound", "mx").time("backend_connect_duration_seconds", {}, 30);
  Books all;
  all.add(one);
  all.add(other);
  CHECK(all.of("inbound", "mx").sum("sessions_total") == 3);
  CHECK(all.of("inbound", "submission").sum("sessions_total") == 1);
  CHECK(all.of("outbound", "mx").sum("sessions_total") == 0);
  CHECK(all.sum("sessions_total") == 4);
  CHECK(all.sum("rejections_total", {"timeout"}) == 5);
  CHECK(all.of("inbound", "mx").sum("backend_connect_duration_seconds") == 2);
  CHECK(all.listeners().size() == 3);
}

TEST_CASE("books: a book stays where it is, whoever comes after") {
  Books books;
  Book& first = books.of("inbound", "mx");
  for (int i = 0; i < 100; ++i) (void)books.of("inbound", "listener" + std::to_string(i));
  CHECK(&books.of("inbound", "mx") == &first);
}

TEST_CASE("books: of a state that workers see differently, who looked last is believed") {
  Books one;
  Books other;
  one.of("inbound", "mx").tell("backend_up", {"192.0.2.1:25"}, true, 0);  // nobody has asked it for anything
  one.of("inbound", "mx").tell("backend_up", {"192.0.2.2:25"}, false, 2000);
  other.of("inbound", "mx").tell("backend_up", {"192.0.2.2:25"}, true, 3000);
  other.of("inbound", "mx").tell("backend_up", {"192.0.2.1:25"}, false, 1000);
  for (const bool turned : {false, true}) {
    Books all;
    all.add(turned ? other : one);
    all.add(turned ? one : other);
    CHECK(all.sum("backend_up", {"192.0.2.1:25"}) == 0);
    CHECK(all.sum("backend_up", {"192.0.2.2:25"}) == 1);
  }
}

TEST_CASE("books: what was counted by kind is listed by kind, in the order of the kinds") {
  Books books;
  books.of("outbound", "b").add("rejections_total", {"no_such_thing"});
  books.of("outbound", "b").add("rejections_total", {"tls_failed"});
  books.of("inbound", "a").add("rejections_total", {"starttls_argument"});
  books.of("inbound", "a").add("rejections_total", {"tls_failed"});
  CHECK(books.sums("rejections_total") ==
        std::vector<std::pair<std::string, std::uint64_t>>{{"starttls_argument", 1}, {"tls_failed", 2}, {"other", 1}});
}

TEST_CASE("metrics: names and values are what Prometheus takes, and differ") {
  const auto is_name = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos;
  };
  std::set<std::string_view> names;
  for (const auto& row : metrics) {
    INFO(row.name);
    CHECK(is_name(row.name));
    CHECK(names.insert(row.name).second);
    CHECK(row.help.ends_with("."));
    CHECK(row.name.ends_with("_total") == (row.type == Type::counter));
    CHECK(row.name.ends_with("_seconds") == (row.type == Type::histogram));
    for (const auto& label : row.labels) {
      if (label.name.empty()) continue;
      CHECK(is_name(label.name));
      std::set<std::string_view> values = {"other"};
      for (std::size_t i = 0; i < label.size; ++i) CHECK(values.insert(label.value(i)).second);
    }
  }
}

}  // namespace book_test
