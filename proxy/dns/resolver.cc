#include "proxy/dns/resolver.h"

#include <utility>

namespace postern::dns {

std::string_view to_string(Type type) {
  switch (type) {
    case Type::a: return "A";
    case Type::cname: return "CNAME";
    case Type::mx: return "MX";
    case Type::txt: return "TXT";
    case Type::aaaa: return "AAAA";
    case Type::dnskey: return "DNSKEY";
    case Type::tlsa: return "TLSA";
  }
  return "unknown";
}

std::string_view to_string(Status status) {
  switch (status) {
    case Status::exists: return "exists";
    case Status::no_data: return "no data";
    case Status::no_such_name: return "no such name";
    case Status::failed: return "failed";
    case Status::bogus: return "bogus";
  }
  return "unknown";
}

Answer failure(std::string reason) {
  Answer answer;
  answer.reason = std::move(reason);
  return answer;
}

}  // namespace postern::dns
