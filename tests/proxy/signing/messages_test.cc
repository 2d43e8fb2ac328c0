#include "proxy/signing/messages.h"

#include "tests/support/catch.h"

namespace signing_messages_test {

using namespace postern;
using namespace postern::signing;
using tls::KeyOperation;
using tls::KeyRequest;

const std::string name(KeyRequest::name_size, 'k');

TEST_CASE("signing messages: what is said is heard") {
  const Request request{7, {name, KeyOperation::sign, 0x0403, std::string("\0digest", 7)}};
  const auto heard = parse_request(encode(request));
  REQUIRE(heard.has_value());
  CHECK(heard->id == 7);
  CHECK(heard->use.key == name);
  CHECK(heard->use.operation == KeyOperation::sign);
  CHECK(heard->use.scheme == 0x0403);
  CHECK(heard->use.octets == request.use.octets);

  const auto answer = parse_answer(encode(Answer{0xffff'ffff, Answer::Status::done, "signature"}));
  REQUIRE(answer.has_value());
  CHECK(answer->id == 0xffff'ffff);
  CHECK(answer->octets == "signature");
  CHECK(parse_answer(encode(Answer{1, Answer::Status::unfit, {}}))->status == Answer::Status::unfit);
}

TEST_CASE("signing messages: what breaks a bound is not heard") {
  const Request good{1, {name, KeyOperation::sign, 0x0403, "digest"}};
  const std::string message = encode(good);
  for (std::size_t size = 0; size < message.size(); ++size) CHECK_FALSE(parse_request(message.substr(0, size)));
  CHECK_FALSE(parse_request(message + "x"));
  const auto refused = [&](auto change) {
    Request request = good;
    change(request.use);
    return !parse_request(encode(request)).has_value();
  };
  CHECK(refused([](KeyRequest& use) { use.key.pop_back(); }));
  CHECK(refused([](KeyRequest& use) { use.key += 'k'; }));
  CHECK(refused([](KeyRequest& use) { use.octets.clear(); }));
  CHECK(refused([](KeyRequest& use) { use.octets.assign(KeyRequest::most_octets + 1, 'o'); }));
  CHECK(refused([](KeyRequest& use) { use.operation = KeyOperation::decrypt; }));  // with a scheme
  CHECK(refused([](KeyRequest& use) { use.operation = static_cast<KeyOperation>(2); }));
  CHECK_FALSE(refused([](KeyRequest& use) { use.octets.assign(KeyRequest::most_octets, 'o'); }));

  const std::string answer = encode(Answer{1, Answer::Status::done, "signature"});
  for (std::size_t size = 0; size < answer.size(); ++size) CHECK_FALSE(parse_answer(answer.substr(0, size)));
  CHECK_FALSE(parse_answer(answer + "x"));
  CHECK_FALSE(parse_answer(encode(Answer{1, Answer::Status::done, {}})));
  CHECK_FALSE(parse_answer(encode(Answer{1, Answer::Status::failed, "signature"})));
  CHECK_FALSE(parse_answer(encode(Answer{1, static_cast<Answer::Status>(4), {}})));
  CHECK_FALSE(parse_answer(encode(Answer{1, Answer::Status::done, std::string(KeyRequest::most_answered + 1, 's')})));
}

TEST_CASE("signing messages: the largest are as large as is said") {
  CHECK(encode(Request{1, {name, KeyOperation::sign, 1, std::string(KeyRequest::most_octets, 'o')}}).size() <=
        max_request);
  CHECK(encode(Answer{1, Answer::Status::done, std::string(KeyRequest::most_answered, 's')}).size() <= max_answer);
}

}  // namespace signing_messages_test
