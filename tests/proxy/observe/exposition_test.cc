#include "proxy/observe/exposition.h"

#include <fstream>
#include <iterator>
#include <set>

#include "tests/support/catch.h"

namespace exposition_test {

using namespace postern;
using observe::Books;
using observe::Facts;
using observe::print_metrics;

bool says(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST_CASE("exposition: a listener's numbers have its labels in front, a worker's own none") {
  Books books;
  books.of("inbound", "mx").add("messages_total", {"accepted"}, 3);
  books.of("outbound", "net").add("policy_decisions_total", {"dane", "satisfied"});
  books.own().add("dns_queries_total", {"MX", "secure"});
  const std::string text = print_metrics(books, {});
  CHECK(says(text, "# TYPE postern_messages_total counter"));
  CHECK(says(text, R"(postern_messages_total{direction="inbound",listener="mx",result="accepted"} 3)"));
  CHECK(says(text, R"(postern_policy_decisions_total{listener="net",policy="dane",result="satisfied"} 1)"));
  CHECK(says(text, R"(postern_dns_queries_total{type="MX",result="secure"} 1)"));
}

TEST_CASE("exposition: what may happen is 0 before it does, where its labels have few values") {
  Books books;
  (void)books.of("inbound", "mx");
  const std::string text = print_metrics(books, {});
  CHECK(says(text, R"(postern_limit_hits_total{direction="inbound",listener="mx",limit="sessions"} 0)"));
  CHECK(says(text, R"(postern_sessions_active{direction="inbound",listener="mx"} 0)"));
  CHECK(says(text, R"(postern_accept_errors_total{reason="descriptors"} 0)"));
  CHECK(text.find("postern_tls_handshakes_total") == std::string::npos);  // hundreds
}

TEST_CASE("exposition: the buckets of a histogram add up") {
  Books books;
  auto& book = books.of("inbound", "mx");
  book.time("tls_handshake_duration_seconds", {"client"}, 3);
  book.time("tls_handshake_duration_seconds", {"client"}, 30);
  book.time("tls_handshake_duration_seconds", {"client"}, 60'000);
  const std::string text = print_metrics(books, {});
  const std::string name = "postern_tls_handshake_duration_seconds";
  const std::string labels = R"({direction="inbound",listener="mx",side="client")";
  CHECK(says(text, name + "_count" + labels + "} 3"));
  CHECK(says(text, name + "_sum" + labels + "} 60.033"));
  CHECK(says(text, name + "_bucket" + labels + R"(,le="0.005"} 1)"));
  CHECK(says(text, name + "_bucket" + labels + R"(,le="0.05"} 2)"));
  CHECK(says(text, name + "_bucket" + labels + R"(,le="30"} 2)"));
  CHECK(says(text, name + "_bucket" + labels + R"(,le="+Inf"} 3)"));
}

TEST_CASE("exposition: facts, with whatever stands in a certificate escaped") {
  Facts facts;
  facts.set("process_open_fds", 12);
  facts.set("postern_certificate_not_after_timestamp_seconds", 1'900'000'000, {"mx", "CN=a\"b\nc\\d"});
  const std::string text = print_metrics({}, facts);
  CHECK(says(text, "process_open_fds 12"));
  CHECK(says(
      text, R"(postern_certificate_not_after_timestamp_seconds{certificate="mx",subject="CN=a\"b\nc\\d"} 1900000000)"));
}

TEST_CASE("exposition: every metric has a name of its own that says what it is") {
  std::set<std::string_view> names;
  for (const auto& row : observe::metrics) {
    INFO(row.name);
    CHECK(names.insert(row.name).second);
    CHECK((row.type == observe::Type::counter) == row.name.ends_with("_total"));
    CHECK(row.help.ends_with("."));
  }
  for (const auto& row : observe::fact_rows) {
    INFO(row.name);
    CHECK(names.insert(row.name).second);
    CHECK((row.type == observe::Type::counter) == row.name.ends_with("_total"));
    CHECK((row.name.starts_with("postern_") || row.name.starts_with("process_")));
  }
}

TEST_CASE("exposition: the documentation has them as they are") {
  std::ifstream file(POSTERN_TESTS "/../docs/metrics.md", std::ios::binary);
  const std::string documented{std::istreambuf_iterator<char>(file), {}};
  INFO("postern check --print-metrics > docs/metrics.md brings it up to date");
  CHECK(documented == observe::print_metric_reference());
}

}  // namespace exposition_test
