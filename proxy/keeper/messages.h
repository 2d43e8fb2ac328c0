// What keeper and gateway say to each other, a message a packet, on descriptor 3 of the gateway. Either may have been
// taken over, so that each end believes nothing that the other has not shown to be within bounds. Pure.
//
// A snapshot comes in parts: Snapshot, then Sockets as often as it takes, then Commit, at which it is swapped in, or
// refused and forgotten.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/result.h"
#include "config/values.h"

namespace postern::keeper {

inline constexpr std::size_t max_message = 65'536;   // octets
inline constexpr std::size_t max_descriptors = 64;   // with one message
inline constexpr std::size_t max_sockets = 65'536;   // of a snapshot: more than there are descriptors
inline constexpr std::uint32_t max_workers = 1'024;  // as the configuration may say
inline constexpr std::size_t max_text = 4'096;       // octets of a sentence
inline constexpr std::size_t max_listener = 512;     // octets of a listener's path
inline constexpr std::size_t max_name = 1'024;       // octets of a certificate's; of longer ones nothing is said
inline constexpr std::size_t max_endpoint = 128;     // octets of an address with its port

// --- to the gateway

// With one descriptor: the sealed bundle that it is made of.
struct Snapshot {
  std::uint32_t version = 0;
};

// With as many descriptors as there are entries, in their order.
struct Sockets {
  enum class Kind : std::uint8_t {
    listening,  // bound to `endpoint`
    signer,     // leads to whoever has the keys
    programs,   // leads to whoever starts programs
    admin,      // bound to what admin.listen says; of the process, and of no worker
  };
  struct Entry {
    Kind kind = Kind::listening;
    std::uint32_t worker = 0;   // whose it is
    config::Endpoint endpoint;  // Kind::listening: as it stands in the configuration
    std::string listener;       // Kind::listening: "inbound.mx"
  };
  std::uint32_t version = 0;
  std::vector<Entry> entries;
};

// All of that snapshot is there.
struct Commit {
  std::uint32_t version = 0;
  std::uint32_t workers = 1;
};

// With one descriptor: a bundle of those files alone whose contents have changed.
struct Renewed {};

// With a descriptor for each worker from `first` on: connections to the resolver numbered `run`.
struct Resolver {
  std::uint64_t run = 0;
  std::uint32_t first = 0;
};

// It drains soon, and says so to who asks whether it is ready.
struct Announce {};

// With one descriptor: a connection to whoever has the keys, for a worker that has lost the one before.
struct Signer {
  std::uint32_t worker = 0;
};

struct Drain {
  bool superseded = false;  // another gateway serves already, the admin server included
  // Whoever waits at a socket is served by the next one: the service manager has them, too.
  bool sockets_live_on = false;
};
struct Stop {};
// Alive is to be said.
struct Ask {};

// What the keeper has seen in its life, for the metrics; said again whenever it changes.
struct Counts {
  std::uint64_t gateway_losses = 0;
  std::uint64_t resolver_losses = 0;
  bool reload_failed = false;  // what has changed last was not taken over
};

// With one descriptor: a unix socket to write what the status page shows to, as JSON or as text, to its end.
struct Status {
  bool as_text = false;
};

// Why a certificate on disk is not the one that is served.
enum class RenewalFailure : std::uint8_t {
  unreadable,
  malformed,
  mismatch,  // chain and key do not belong together
  refused,   // in this configuration, or by the gateway
  guard,     // it fits no TLSA record that is published
};
inline constexpr std::size_t renewal_failures = static_cast<std::size_t>(RenewalFailure::guard) + 1;
std::string_view to_string(RenewalFailure value);

// Of all pairs of that name, for the metrics; said again whenever it changes.
struct CertificateState {
  std::string name;                // below `certificates`
  bool differs_from_disk = false;  // what is served, from what there is on disk
  std::array<std::uint64_t, renewal_failures> failures{};
  std::string why = {};  // "guard: no TLSA record …"; empty: nothing has failed
  bool operator==(const CertificateState&) const = default;
};

// What has happened, for the status page. A gateway that begins is told of the last ones.
struct Event {
  enum class Kind : std::uint8_t {
    reloaded,        // what has changed
    reload_refused,  // why
    renewed,         // which files
    gateway_lost,    // why
    resolver_lost,
  };
  std::int64_t time = 0;  // seconds since 1970
  Kind kind = Kind::reloaded;
  std::string text;
};
inline constexpr std::size_t most_events = 16;
inline constexpr std::size_t max_event = 512;  // octets of its text
std::string_view to_string(Event::Kind value);
// Puts it behind the others, of which the last ones stay.
void remember(std::vector<Event>& events, Event event);

using Order = std::variant<Snapshot, Sockets, Commit, Renewed, Resolver, Announce, Drain, Stop, Counts, Ask, Status,
                           CertificateState, Signer, Event>;

// --- to the keeper

// Every worker listens, and sessions that begin from now on have that snapshot.
struct Serving {
  std::uint32_t version = 0;
};
// Nothing has changed by that snapshot.
struct Refused {
  std::uint32_t version = 0;
  std::string text;
};
// A worker says that the resolver with that number is of no use.
struct ResolverUseless {
  std::uint64_t run = 0;
  std::string why;
};
// Nobody has that snapshot any more.
struct Retired {
  std::uint32_t version = 0;
};
// Every worker has had its turn since it was asked.
struct Alive {
  std::uint64_t sessions = 0;  // that there are
};
// A worker's connection to whoever has the keys is of no use any more.
struct SignerLost {
  std::uint32_t worker = 0;
};
// Drained; it ends next.
struct Stopped {};

using Report = std::variant<Serving, Refused, ResolverUseless, Retired, Alive, SignerLost, Stopped>;

// What is longer than a bound allows is the sender's mistake, but for sentences, which are cut.
std::string encode(const Order& order);
std::string encode(const Report& report);

// Errc::protocol: no such message, one that breaks a bound, or not as many descriptors as belong to it.
Result<Order> parse_order(std::string_view message, std::size_t descriptors);
Result<Report> parse_report(std::string_view message);

}  // namespace postern::keeper
