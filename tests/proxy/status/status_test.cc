#include "proxy/status/status.h"

#include "proxy/smtp/sasl_client.h"
#include "proxy/status/chart.h"
#include "proxy/status/page.h"
#include "tests/support/catch.h"
#include "tls/tlsa.h"

namespace status_test {

using namespace postern;
using observe::Book;
using observe::Books;
using status::Counts;
using status::History;

bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// All that peers and certificates can put into it is hostile.
constexpr std::string_view hostile = "<script>alert('1')</script>\" onload=\"x\n\xe2\x80\xae\xff&";

status::Status everything() {
  Book book;
  book.add("sessions_total", {}, 1'234'567);
  book.add("rejections_total", {"relay_denied"}, 3);
  book.add("tls_handshakes_total", {"client", "TLSv1.2", "TLS_AES_128_GCM_SHA256", "X25519", "true"});
  book.add("tls_handshakes_total", {"client", "TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519", "false"}, 3);
  const std::string text(hostile);
  book.recent().note(observe::Recent::OldTls{"client", "TLSv1.2", "192.0.2.1", text, 1'700'000'000});
  book.recent().note(observe::Recent::Unsatisfied{text, text, "dane", "refused", "reason", text, 1'700'000'000});
  status::Status status;
  status.hostname = "mx.example.org";
  status.now = 1'700'000'100;
  status.listeners.push_back(status::listener_of("inbound.mx", book));
  status.listeners.push_back(status::listener_of("outbound.net", book));
  status.listeners[0].backends.push_back({"127.0.0.1:25", false, 61, 2});
  status.certificates.push_back(
      {"mx", text, 1'600'000'000, 1'700'000'000, 0.1, {text}, {"inbound.mx"}, true, "guard: " + text});
  status.sandbox = {"on", true, false, "seccomp: " + text};
  status.drained = {1, 2, 3};
  status.events.push_back({1'700'000'000, "reload refused", text});
  status.troubles = {"draining"};
  return status;
}

TEST_CASE("status: a listener's book as it is read") {
  const status::Listener listener = everything().listeners[0];
  CHECK(listener.direction == "inbound");
  CHECK(listener.name == "mx");
  CHECK(listener.begun == 1'234'567);
  CHECK(listener.denied == Counts{{"relay_denied", 3}});
  REQUIRE(listener.tls.size() == 1);
  CHECK(listener.tls[0].handshakes == 4);
  CHECK(listener.tls[0].resumed == 1);
  CHECK(listener.tls[0].ciphers == Counts{{"TLS_AES_128_GCM_SHA256", 4}});
  const auto out = status::shut_out(listener.tls[0]);
  REQUIRE(out.size() == 1);
  CHECK(out[0].version == "TLSv1.2");
  CHECK(out[0].share == 0.25);
}

TEST_CASE("status: counts by several labels have them all in their name") {
  Book book;
  book.add("policy_decisions_total", {"dane", "refused"}, 2);
  CHECK(status::counts_of(book, "policy_decisions_total", {}, 2) == Counts{{"dane refused", 2}});
  CHECK(status::counts_of(book, "policy_decisions_total", {"dane"}) == Counts{{"refused", 2}});
  CHECK(status::counts_of(book, "policy_decisions_total", {"local"}).empty());
}

TEST_CASE("status: whatever comes from the network does nothing in the page") {
  const std::string html = status::print_html(everything());
  CHECK_FALSE(says(html, "<script>alert"));
  CHECK(says(html, "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=&quot;x\\u000a\\u202e\\xff&amp;"));
  // The one that is ours, and its style: nothing else may stand between such tags, and nothing stands in an attribute.
  CHECK(html.find("<script>") == html.rfind("<script>"));
  CHECK(html.find("<style>") == html.rfind("<style>"));
  CHECK_FALSE(says(html, " style="));
  CHECK_FALSE(says(html, " onload=\""));
}

TEST_CASE("status: the page's policy names exactly its own style and script") {
  const std::string html = status::print_html(everything());
  const auto between = [&](const std::string& begin, const std::string& end) {
    const std::size_t from = html.find(begin) + begin.size();
    return html.substr(from, html.find(end) - from);
  };
  const std::string policy = status::content_security_policy();
  CHECK(policy.starts_with("default-src 'none'; "));
  for (const auto& [name, text] :
       {std::pair("style-src", between("<style>", "</style>")), {"script-src", between("<script>", "</script>")}}) {
    CHECK(says(policy, std::string(name) + " 'sha256-" + smtp::in_base64(tls::sha256(text)) + "';"));
  }
  CHECK_FALSE(says(policy, "unsafe"));
}

TEST_CASE("status: the page says what there is") {
  const std::string html = status::print_html(everything());
  CHECK(says(html, "mx.example.org"));
  CHECK(says(html, "<span class=\"state\">draining</span>"));
  CHECK(says(html, "relay_denied"));
  CHECK(says(html, "<td class=\"bad\">down</td><td>1 min 1 s</td>"));
  CHECK(says(html, "1\u202f234\u202f567"));
  CHECK(says(html, "<td class=\"t bad\">another: guard: &lt;script&gt;"));
  CHECK(says(html, "on: Landlock; missing: seccomp: &lt;script&gt;"));
  CHECK(says(html, "1 by themselves, 2 told, 3 cut"));
  CHECK(says(html, "<td class=\"bad\">reload refused</td><td class=\"t\">&lt;script&gt;"));
  CHECK(says(html, "2023-11-14 22:13:20Z"));
}

TEST_CASE("status: text stays one line a fact, whatever is in it, and JSON is JSON") {
  const std::string text = status::print_text(everything());
  CHECK(says(text, "mx.example.org: draining\n"));
  CHECK(says(text, "DIFFERS FROM DISK: guard: <script>"));
  CHECK(says(text, "reload refused  <script>"));
  CHECK(says(text, "DOWN for 1 min 1 s, 2 connections"));
  CHECK(says(text, "a higher min_version would shut out 25 %: TLSv1.2"));
  CHECK(says(text, "<script>alert('1')</script>\" onload=\"x\\u000a\\u202e\\xff&"));
  CHECK_FALSE(says(text, "\xe2\x80\xae"));
  const std::string json = status::print_json(everything());
  CHECK(says(json, R"("hostname":"mx.example.org")"));
  CHECK(says(json, R"("troubles":["draining"])"));
  CHECK(says(json, R"("denied":{"relay_denied":3})"));
  CHECK(says(json, R"("drained":{"by_themselves":1,"told":2,"cut":3})"));
  CHECK(says(json, R"("sandbox":{"mode":"on","landlock":true,"seccomp":false,"missing":"seccomp: <script>)"));
  CHECK(says(json, R"("events":[{"time":1700000000,"kind":"reload refused","text":"<script>)"));
  CHECK(says(json, R"(onload=\"x\u000a\u202e)"));
  CHECK(json.ends_with("}\n"));
}

TEST_CASE("status: nothing at all is a page, too") {
  CHECK(says(status::print_html({}), "</html>"));
  CHECK(says(status::print_text({}), "ready"));
  CHECK(says(status::print_json({}), "\"listeners\":[]"));
}

TEST_CASE("history: numbers of books become rates, and no more of them are kept than half an hour has") {
  Books books;
  History history;
  for (std::size_t i = 0; i < History::points + 20; ++i) {
    books.of("inbound", "mx").add("sessions_total", {}, 20);
    if (i == 3) books.of("inbound", "mx").add("sessions_active");
    history.take(books);
  }
  const auto trend = history.of("inbound.mx");
  REQUIRE(trend.sessions.size() == History::points);
  CHECK(trend.sessions.back() == 1);
  REQUIRE(trend.begun.size() == History::points - 1);
  CHECK(trend.begun.back() == 2);
  CHECK(History::lately(trend.begun) == 2);
  CHECK(trend.messages.back() == 0);
  CHECK(history.of("inbound.other").sessions.empty());
  CHECK(History::lately({}) == 0);
}

TEST_CASE("status: numbers as people read them") {
  CHECK(status::print_duration(59) == "59 s");
  CHECK(status::print_duration(3'600) == "1 h");
  CHECK(status::print_duration(90'000) == "1 d 1 h");
  CHECK(status::print_duration(-5) == "0 s");
  CHECK(status::print_bytes(1023) == "1023 B");
  CHECK(status::print_bytes(1536) == "1.5 KiB");
  CHECK(status::print_percent(0.005) == "0.5 %");
  CHECK(status::print_percent(1) == "100 %");
  CHECK(status::print_time(0) == "1970-01-01 00:00:00Z");
  CHECK(status::Page::grouped(999) == "999");
  CHECK(status::Page::grouped(1000) == "1\u202f000");
}

TEST_CASE("chart: a line within its frame, also where nothing happens") {
  CHECK(says(status::draw_line({0, 0, 0}, "none"), "points=\"0.0,35.0 90.0,35.0 180.0,35.0 \""));
  CHECK(says(status::draw_line({0, 2, 4}, "<some>"), "180.0,1.0 "));
  CHECK(says(status::draw_line({0, 2, 4}, "<some>"), "&lt;some&gt;"));
  CHECK_FALSE(says(status::draw_line({1}, "one"), "polyline"));
  CHECK(says(status::draw_bar(7), "width=\"100.0\" height=\"8\"/></svg>"));
  CHECK(says(status::draw_bar(-1), "width=\"0.0\""));
}

}  // namespace status_test
