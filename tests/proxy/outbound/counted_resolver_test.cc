#include "proxy/outbound/counted_resolver.h"

#include "tests/support/catch.h"
#include "tests/support/fake_resolver.h"

namespace counted_resolver_test {

using namespace postern;
using dns::Status;
using dns::Type;

TEST_CASE("counted_resolver: every answer is handed on and counted, by what was asked and what came of it") {
  net::Loop loop;
  observe::Book book;
  auto fake = std::make_unique<testing::FakeResolver>();
  testing::FakeResolver& behind = *fake;
  outbound::CountedResolver resolver(std::move(fake), book, loop);
  const auto ask = [&](const std::string& name, Type type, Status status, bool secure) {
    dns::Answer answer;
    answer.status = status;
    answer.secure = secure;
    behind.set({name, type}, answer);
    std::optional<Status> heard;
    const auto lookup = resolver.lookup({name, type}, [&](const dns::Answer& given) { heard = given.status; });
    behind.deliver();
    CHECK(heard == status);
  };
  ask("a.example", Type::mx, Status::exists, true);
  ask("b.example", Type::mx, Status::exists, false);
  ask("c.example", Type::tlsa, Status::no_data, true);
  ask("d.example", Type::tlsa, Status::no_such_name, false);
  ask("e.example", Type::a, Status::failed, false);
  ask("f.example", Type::dnskey, Status::bogus, false);
  CHECK(book.sum("dns_queries_total", {"MX", "secure"}) == 1);
  CHECK(book.sum("dns_queries_total", {"MX", "insecure"}) == 1);
  CHECK(book.sum("dns_queries_total", {"TLSA", "absent"}) == 2);
  CHECK(book.sum("dns_queries_total", {"A", "failed"}) == 1);
  CHECK(book.sum("dns_queries_total", {"DNSKEY", "bogus"}) == 1);
  CHECK(book.sum("dns_query_duration_seconds") == 6);
}

TEST_CASE("counted_resolver: every type of question has its word") {
  net::Loop loop;
  observe::Book book;
  for (const Type type : {Type::a, Type::cname, Type::mx, Type::txt, Type::aaaa, Type::dnskey, Type::tlsa}) {
    book.add("dns_queries_total", {dns::to_string(type), "secure"});
  }
  CHECK(book.sum("dns_queries_total", {"other"}) == 0);
}

TEST_CASE("counted_resolver: what is cancelled is no answer") {
  net::Loop loop;
  observe::Book book;
  auto fake = std::make_unique<testing::FakeResolver>();
  testing::FakeResolver& behind = *fake;
  outbound::CountedResolver resolver(std::move(fake), book, loop);
  (void)resolver.lookup({"a.example", Type::mx}, [](const dns::Answer&) { FAIL("nobody waits for it"); });
  behind.deliver();
  CHECK(book.samples().empty());
}

}  // namespace counted_resolver_test
