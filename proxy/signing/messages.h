// What a gateway and whoever holds its private keys say to each other, a message a packet (SOCK_SEQPACKET). Either may
// have been taken over, so that each end believes nothing that the other has not shown to be within bounds. Pure.
//
// A gateway's thread asks on a connection of its own; answers come in the order of the requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/result.h"
#include "tls/signer.h"

namespace postern::signing {

struct Request {
  std::uint32_t id = 0;
  tls::KeyRequest use;
};

struct Answer {
  enum class Status : std::uint8_t {
    done,
    unknown_key,  // nobody here holds it
    unfit,        // not with this key, or not in this way
    failed,
  };
  std::uint32_t id = 0;
  Status status = Status::done;
  std::string octets;  // the signature, or what was decrypted; empty unless done
};
std::string_view to_string(Answer::Status status);  // a sentence's end

inline constexpr std::size_t max_request = tls::KeyRequest::most_octets + 64;   // octets of a message
inline constexpr std::size_t max_answer = tls::KeyRequest::most_answered + 16;  // likewise

// Within the bounds of tls::KeyRequest.
std::string encode(const Request& request);
std::string encode(const Answer& answer);

// Errc::protocol: no such message, or one that breaks a bound.
Result<Request> parse_request(std::string_view message);
Result<Answer> parse_answer(std::string_view message);

}  // namespace postern::signing
