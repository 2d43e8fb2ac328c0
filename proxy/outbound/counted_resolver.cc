#include "proxy/outbound/counted_resolver.h"

#include <utility>

namespace postern::outbound {

namespace {

std::string_view result_of(const dns::Answer& answer) {
  switch (answer.status) {
    case dns::Status::exists: return answer.secure ? "secure" : "insecure";
    case dns::Status::no_data:
    case dns::Status::no_such_name: return "absent";
    case dns::Status::failed: return "failed";
    case dns::Status::bogus: return "bogus";
  }
  return "failed";
}

}  // namespace

std::unique_ptr<dns::Lookup> CountedResolver::lookup(const dns::Question& question, Callback callback) {
  const auto count = [this, type = question.type, asked_at = loop_.now(),
                      then = std::move(callback)](const dns::Answer& answer) {
    book_.add("dns_queries_total", {dns::to_string(type), result_of(answer)});
    book_.time("dns_query_duration_seconds", {}, loop_.now() - asked_at);
    then(answer);
  };
  return resolver_->lookup(question, count);
}

}  // namespace postern::outbound
