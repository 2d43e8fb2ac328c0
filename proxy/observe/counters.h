// What a worker counts. Written by its worker alone; read by whoever reports (relaxed atomics, no lock).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "proxy/smtp/plaintext.h"
#include "proxy/smtp/refusals.h"

namespace postern::observe {

class Counter {
 public:
  void add(std::uint64_t amount = 1) { value_.store(value() + amount, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct Counters {
  Counter sessions;
  Counter tls_handshakes;
  Counter tls_handshake_failures;
  Counter tls_resumed;
  Counter bytes_from_clients;
  Counter bytes_to_clients;
  Counter backend_failures;
  Counter possibly_delivered_twice;  // messages
  // By who demanded (policy::Source) and result: satisfied, observed, refused.
  std::array<std::array<Counter, 3>, 3> policy_decisions;
  std::array<Counter, smtp::message_result_count> messages;  // by smtp::MessageResult
  std::array<Counter, smtp::refusal_count> refusals;         // by smtp::Refusal
  std::array<Counter, smtp::plaintext_count> plaintext;      // mail let go so, by smtp::Plaintext
};

}  // namespace postern::observe
