// Error and Result<T>: what everything that can fail returns. Nothing in Postern throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace postern {

enum class Errc : std::uint8_t {
  invalid_argument,  // the operator or a caller gave something that cannot be
  not_found,         // a file, a name, a user that does not exist
  io,                // a system call failed
  limit_exceeded,    // something was longer, larger or more than allowed
  protocol,          // the peer broke its protocol
  tls,               // the TLS library refused
  certificate,       // a certificate or key is unusable or not trusted
  timeout,           // time ran out
  refused,           // the peer said no
  closed,            // the peer went away
  temporary,         // try again later
  unsupported,       // this build or this library cannot do it
};

std::string_view to_string(Errc code);

// What went wrong: a kind to branch on and a sentence for people.
struct [[nodiscard]] Error {
  Errc code = Errc::invalid_argument;
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

// Shorthand for returning an error from a function that returns a Result.
inline tl::unexpected<Error> fail(Errc code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace postern
