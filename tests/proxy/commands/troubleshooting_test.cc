// docs/troubleshooting.md has a row for every word by which log and counters name a reason, and for no others.
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/keeper/messages.h"
#include "proxy/observe/metrics.h"
#include "proxy/policy/decision.h"
#include "proxy/smtp/endings.h"
#include "proxy/smtp/refusals.h"
#include "tests/support/catch.h"

namespace troubleshooting_test {

using namespace postern;
using Words = std::set<std::string, std::less<>>;

struct Row {
  std::vector<std::string> words;  // of the first cell
  std::string second;              // the cell behind it
};

std::vector<std::string> in_backticks(std::string_view cell) {
  std::vector<std::string> found;
  for (auto begin = cell.find('`'); begin != cell.npos; begin = cell.find('`', begin)) {
    const auto end = cell.find('`', begin + 1);
    if (end == cell.npos) break;
    found.emplace_back(cell.substr(begin + 1, end - begin - 1));
    begin = end + 1;
  }
  return found;
}

// Of the table below a heading of second order.
std::vector<Row> rows_below(std::string_view heading) {
  std::ifstream file(POSTERN_TESTS "/../docs/troubleshooting.md", std::ios::binary);
  std::vector<Row> rows;
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) here = std::string_view(line).substr(3) == heading;
    if (!here || !line.starts_with("| `")) continue;
    const auto end = line.find(" | ");
    rows.push_back({in_backticks(line.substr(0, end)), line.substr(end + 3, line.find(" | ", end + 3) - end - 3)});
  }
  return rows;
}

Words words_below(std::string_view heading) {
  Words words;
  for (const Row& row : rows_below(heading)) words.insert(row.words.begin(), row.words.end());
  words.erase("other");  // what is none of the words
  return words;
}

// The values of a counter's last label.
Words counted(std::string_view metric) {
  Words words;
  for (const auto& row : observe::metrics) {
    if (row.name != metric) continue;
    const observe::Label* last = nullptr;
    for (const auto& label : row.labels) {
      if (label.value != nullptr) last = &label;
    }
    REQUIRE(last != nullptr);
    for (std::size_t i = 0; i < last->size; ++i) words.emplace(last->value(i));
  }
  REQUIRE_FALSE(words.empty());
  return words;
}

constexpr const char* replies = "Replies of the gateway's own";

TEST_CASE("troubleshooting: every word of log and counters has its row, and no other has one") {
  CHECK(words_below(replies) == counted("rejections_total"));
  CHECK(words_below("Without TLS") == counted("plaintext_deliveries_total"));
  CHECK(words_below("TLS handshakes that fail") == counted("tls_handshake_failures_total"));
  CHECK(words_below("Limits") == counted("limit_hits_total"));

  Words others;
  for (const char* metric : {"dns_queries_total", "mta_sts_fetches_total", "accept_errors_total", "messages_total"}) {
    others.merge(counted(metric));
  }
  CHECK(words_below("Other counters") == others);
}

TEST_CASE("troubleshooting: endings have a row by the name of either direction") {
  Words endings;
  for (std::size_t i = 0; i < smtp::ending_count; ++i) {
    const auto ending = static_cast<smtp::Ending>(i);
    endings.emplace(smtp::to_string(ending, config::Direction::inbound));
    endings.emplace(smtp::to_string(ending, config::Direction::outbound));
  }
  CHECK(words_below("How a session ended") == endings);
}

TEST_CASE("troubleshooting: so have the reasons of policies, and of certificates that are not taken over") {
  Words reasons;
  for (std::uint8_t i = 0; policy::to_string(static_cast<policy::Reason>(i)) != "unknown"; ++i) {
    reasons.emplace(policy::to_string(static_cast<policy::Reason>(i)));
  }
  CHECK(reasons.erase("satisfied") == 1);
  CHECK(words_below("Policy: outgoing mail that waits") == reasons);

  Words failures;
  for (std::size_t i = 0; i < keeper::renewal_failures; ++i) {
    failures.emplace(to_string(static_cast<keeper::RenewalFailure>(i)));
  }
  CHECK(words_below("Certificates that are not taken over") == failures);
}

TEST_CASE("troubleshooting: a reply stands there as clients get it") {
  for (const Row& row : rows_below(replies)) {
    INFO(row.words.front());
    for (std::size_t i = 0; i < smtp::refusal_count; ++i) {
      const auto refusal = static_cast<smtp::Refusal>(i);
      if (smtp::row(refusal).label != row.words.front() || refusal == smtp::Refusal::server_refused) continue;
      // Policy's replies say more than their rows.
      const bool fixed = refusal < smtp::Refusal::tls_not_offered;
      CHECK(in_backticks(row.second) ==
            std::vector{std::string(fixed ? smtp::line_of(refusal) : smtp::code_of(refusal))});
    }
  }
}

TEST_CASE("troubleshooting: a counter with reasons is one that has a table there") {
  const Words known = {"session_ends_total", "limit_hits_total",    "tls_handshake_failures_total",
                       "rejections_total",   "accept_errors_total", "plaintext_deliveries_total"};
  Words with_reasons;
  for (const auto& row : observe::metrics) {
    for (const auto& label : row.labels) {
      if (label.name == "reason" || label.name == "ended" || label.name == "limit") with_reasons.emplace(row.name);
    }
  }
  CHECK(with_reasons == known);
}

}  // namespace troubleshooting_test
