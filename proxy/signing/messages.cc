#include "proxy/signing/messages.h"

#include "config/packing.h"

namespace postern::signing {

using tls::KeyOperation;
using tls::KeyRequest;

std::string_view to_string(Answer::Status status) {
  switch (status) {
    case Answer::Status::done: return "it was made";
    case Answer::Status::unknown_key: return "nobody holds the key";
    case Answer::Status::unfit: return "the key does not do that";
    case Answer::Status::failed: return "it could not be made";
  }
  return "it could not be made";
}

std::string encode(const Request& request) {
  config::Packer packer;
  packer.number(request.id);
  packer.text(request.use.key);
  packer.number(static_cast<std::uint8_t>(request.use.operation));
  packer.number(request.use.scheme);
  packer.text(request.use.octets);
  return packer.take();
}

Result<Request> parse_request(std::string_view message) {
  config::Unpacker unpacker(message);
  Request request;
  request.id = unpacker.number<std::uint32_t>();
  request.use.key = unpacker.text(KeyRequest::name_size);
  request.use.operation = unpacker.choice(KeyOperation::decrypt);
  request.use.scheme = unpacker.number<std::uint16_t>();
  request.use.octets = unpacker.text(KeyRequest::most_octets);
  unpacker.demand(request.use.key.size() == KeyRequest::name_size && !request.use.octets.empty());
  unpacker.demand(request.use.operation == KeyOperation::sign || request.use.scheme == 0);
  if (!unpacker.done()) return fail(Errc::protocol, "a request for a signature breaks a bound");
  return request;
}

std::string encode(const Answer& answer) {
  config::Packer packer;
  packer.number(answer.id);
  packer.number(static_cast<std::uint8_t>(answer.status));
  packer.text(answer.octets);
  return packer.take();
}

Result<Answer> parse_answer(std::string_view message) {
  config::Unpacker unpacker(message);
  Answer answer;
  answer.id = unpacker.number<std::uint32_t>();
  answer.status = unpacker.choice(Answer::Status::failed);
  answer.octets = unpacker.text(KeyRequest::most_answered);
  unpacker.demand((answer.status == Answer::Status::done) == !answer.octets.empty());
  if (!unpacker.done()) return fail(Errc::protocol, "an answer with a signature breaks a bound");
  return answer;
}

}  // namespace postern::signing
