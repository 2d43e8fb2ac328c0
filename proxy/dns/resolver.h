// What the rest of Postern asks DNS, and what it may answer. "Does not exist", "failed" and "bogus" stay apart all the
// way up: mail is bounced, deferred or delivered by that difference.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postern::dns {

enum class Type : std::uint16_t { a = 1, cname = 5, mx = 15, txt = 16, aaaa = 28, dnskey = 48, tlsa = 52 };
std::string_view to_string(Type type);

// `name` is in A-labels, lower case, without a trailing dot; the empty name is the root.
struct Question {
  std::string name;
  Type type = Type::a;
  auto operator<=>(const Question&) const = default;
};

enum class Status : std::uint8_t {
  exists,        // `rdata` has at least one record
  no_data,       // the name exists, records of this type do not
  no_such_name,  // NXDOMAIN
  failed,        // no server gave an answer in time, or only SERVFAIL and the like
  bogus,         // an answer came, and its signatures are wrong
};
std::string_view to_string(Status status);

struct Answer {
  Status status = Status::failed;
  bool secure = false;             // DNSSEC proves the whole of it, absence and every CNAME on the way too
  std::chrono::seconds ttl{0};     // of the record that expires first; 0 where nothing may be kept
  std::string canonical_name;      // where CNAMEs led, written as in Question; the name asked for if there are none
  std::vector<std::string> rdata;  // in wire form, names in it decompressed; records.h takes it apart
  std::string reason;              // for people: why it failed or is bogus; else empty
  std::string asked;               // then: which servers were asked, and where they were taken from
  bool unasked = false;            // it failed with ourselves: nobody was asked, and nothing follows for the domain

  bool exists() const { return status == Status::exists; }
  bool absent() const { return status == Status::no_data || status == Status::no_such_name; }
};

// Status::failed, with its reason.
Answer failure(std::string reason);

// A lookup under way. Destroying it cancels: the callback is then never called.
class Lookup {
 public:
  virtual ~Lookup() = default;
};

class Resolver {
 public:
  using Callback = std::function<void(const Answer&)>;
  // Calls back exactly once, from the loop and never from inside this call. The callback may destroy the Lookup.
  virtual std::unique_ptr<Lookup> lookup(const Question& question, Callback callback) = 0;
  virtual ~Resolver() = default;
};

}  // namespace postern::dns
