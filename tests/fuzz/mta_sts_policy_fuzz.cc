// A policy that parses demands something definite, prints, and reads as itself again.
#include "proxy/policy/mta_sts_policy.h"

#include "proxy/policy/mta_sts_cache.h"
#include "tests/fuzz/fuzz_input.h"

using namespace postern::policy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = postern::fuzz::Input(data, size).rest();
  const auto policy = parse_mta_sts_policy(text);
  if (policy) {
    POSTERN_ASSERT(policy->mode == MtaStsMode::none || !policy->mx.empty(), "a policy that demands names hosts");
    POSTERN_ASSERT(policy->max_age.count() >= 0 && policy->max_age <= max_mta_sts_age, "max_age is within its bounds");
    const auto again = parse_mta_sts_policy(to_string(*policy));
    POSTERN_ASSERT(again && *again == *policy, "a printed policy reads as the same");
    for (const std::string& pattern : policy->mx) {
      POSTERN_ASSERT(!pattern.starts_with("*.") || !lists_host(*policy, pattern), "no pattern is itself a host");
      POSTERN_ASSERT(pattern.starts_with("*.") || lists_host(*policy, pattern), "a name lists itself");
    }
  }
  const std::vector<std::string> records = {std::string(text)};
  const auto id = parse_mta_sts_record(records);
  POSTERN_ASSERT(!id || (!id->empty() && id->size() <= 32), "an id has 1 to 32 characters");
  const auto cached = parse_cached_policy("example.org", text);
  POSTERN_ASSERT(!cached || parse_cached_policy("example.org", print_cached_policy("example.org", *cached)),
                 "a cache file can be written again");
  return 0;
}
