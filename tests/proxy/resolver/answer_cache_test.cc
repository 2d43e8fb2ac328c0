#include "proxy/resolver/answer_cache.h"

#include "tests/support/catch.h"

namespace answer_cache_test {

using namespace postern;
using namespace postern::resolver;

const dns::Question question{"example", dns::Type::mx};

dns::Answer lasting(int seconds, dns::Status status = dns::Status::exists) {
  dns::Answer answer;
  answer.status = status;
  answer.ttl = std::chrono::seconds(seconds);
  if (status == dns::Status::exists) answer.rdata = {"record"};
  return answer;
}

TEST_CASE("answer_cache: an answer is kept for its TTL, which runs down, and never for more than a minute") {
  AnswerCache cache;
  cache.put(How::proven, question, lasting(10), 1'000);
  CHECK(cache.get(How::proven, question, 1'000)->ttl.count() == 10);
  CHECK(cache.get(How::proven, question, 4'500)->ttl.count() == 7);
  CHECK(cache.get(How::proven, question, 10'999));
  CHECK_FALSE(cache.get(How::proven, question, 11'000));
  cache.put(How::proven, question, lasting(86'400, dns::Status::no_such_name), 0);
  CHECK(cache.get(How::proven, question, 59'999)->ttl.count() == 86'400 - 59);
  CHECK_FALSE(cache.get(How::proven, question, 60'000));
}

TEST_CASE("answer_cache: what was proven is not what was believed") {
  AnswerCache cache;
  cache.put(How::plain, question, lasting(10), 0);
  CHECK_FALSE(cache.get(How::proven, question, 0));
  CHECK_FALSE(cache.get(How::plain, {"example", dns::Type::a}, 0));
  CHECK(cache.get(How::plain, question, 0));
}

TEST_CASE("answer_cache: bad news, what may not be kept, what is asked afresh or of the system are not kept") {
  AnswerCache cache;
  dns::Answer bogus = lasting(10, dns::Status::bogus);
  cache.put(How::proven, question, bogus, 0);
  cache.put(How::proven, question, lasting(10, dns::Status::failed), 0);
  cache.put(How::proven, question, lasting(0), 0);
  cache.put(How::afresh, question, lasting(10), 0);
  cache.put(How::system, question, lasting(10), 0);
  dns::Answer large = lasting(10);
  large.rdata.assign(2, std::string(AnswerCache::largest / 2, 'x'));
  cache.put(How::proven, question, large, 0);
  CHECK(cache.size() == 0);
}

TEST_CASE("answer_cache: it stays within its bound") {
  AnswerCache cache;
  for (std::size_t i = 0; i < 3 * AnswerCache::most; ++i) {
    cache.put(How::proven, {std::to_string(i), dns::Type::a}, lasting(60), 0);
    CHECK(cache.size() <= AnswerCache::most);
  }
  CHECK(cache.get(How::proven, {std::to_string(3 * AnswerCache::most - 1), dns::Type::a}, 0));
}

}  // namespace answer_cache_test
