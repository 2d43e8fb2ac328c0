// Whether the name servers hand on what DNSSEC is proven by. Many forwarders drop it, and then every answer is bogus to
// whoever validates; that is to be told from a single domain whose signatures are wrong. Pure.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/dns/resolver.h"

namespace postern::dns {

enum class Fitness : std::uint8_t {
  unknown,  // the trust anchor's keys were not asked for yet, or nobody has answered so far
  fit,      // they can be had
  unfit,    // they could not, ever since the start: DNSSEC can prove nothing, and never could
  lost,     // they could, and cannot any more. An attacker on the way would see to that.
};
std::string_view to_string(Fitness fitness);

// What the question for the keys has brought.
struct KeysFound {
  enum class Result : std::uint8_t { had, withheld, silence };
  Result result = Result::silence;
  std::string reason;  // for people, unless they were had
};
KeysFound keys_found(const Answer& answer);

// One for the whole process: its workers ask the same servers. Thread-safe.
class FitnessState {
 public:
  Fitness now() const;
  std::string reason() const;  // why it is not `fit`; empty: it is

  // What is to be said in the log, once.
  struct News {
    Fitness fitness = Fitness::unknown;
    std::string reason;
  };
  std::optional<News> note(const KeysFound& found);

  // Other questions are answered, while that for the keys never was: a server that drops it, and is not waited for at
  // each message.
  void others_are_answered();

  // Somebody is to ask again, and the caller is who does. `now` is loop time in milliseconds.
  bool claim(std::uint64_t now);
  // A bogus answer came: it is asked again soon.
  void suspect();
  // Others are asked from now on, or by another anchor: nothing is known of them, and they are asked soon.
  void forget();

 private:
  static constexpr std::uint64_t interval = 300'000;       // while all is well
  static constexpr std::uint64_t short_interval = 60'000;  // while it is not: mail may be waiting
  static constexpr std::uint64_t least_interval = 5'000;   // whatever is suspected

  mutable std::mutex mutex_;
  Fitness fitness_ = Fitness::unknown;
  std::string reason_;
  bool complained_ = false;  // since it was fit last
  std::uint64_t last_claim_ = 0;
  bool suspected_ = false;
};

}  // namespace postern::dns
