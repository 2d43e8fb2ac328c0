#include "proxy/keeper/messages.h"

#include <algorithm>
#include <utility>

#include "config/assert.h"
#include "config/packing.h"

namespace postern::keeper {

namespace {

using config::Packer;
using config::Unpacker;

// The first octet of each message.
enum class Kind : std::uint8_t {
  snapshot,
  sockets,
  commit,
  renewed,
  resolver,
  drain,
  stop,
  serving,
  refused,
  resolver_useless,
  stopped,
  counts,
  status,
  retired,
  certificate,
  announce,
  ask,
  alive,
  signer,
  signer_lost,
  event,
};
constexpr Kind last_kind = Kind::event;

Packer begin(Kind kind) {
  Packer packer;
  packer.number(static_cast<std::uint8_t>(kind));
  return packer;
}

// Sentences end in the log.
std::string sentence(std::string text, std::size_t most = max_text) {
  if (text.size() > most) text.resize(most);
  std::ranges::replace_if(
      text, [](char octet) { return static_cast<unsigned char>(octet) < ' ' || octet == '\x7f'; }, '?');
  return text;
}

bool is_word(std::string_view text) {
  return std::ranges::all_of(text, [](char octet) { return octet > ' ' && octet < '\x7f'; });
}

tl::unexpected<Error> broken(const std::string& what) {
  return fail(Errc::protocol, what + " between keeper and gateway breaks a bound");
}

std::string pack(const Snapshot& snapshot) {
  Packer packer = begin(Kind::snapshot);
  packer.number(snapshot.version);
  return packer.take();
}

std::string pack(const Sockets& sockets) {
  Packer packer = begin(Kind::sockets);
  packer.number(sockets.version);
  packer.number(static_cast<std::uint16_t>(sockets.entries.size()));
  for (const Sockets::Entry& entry : sockets.entries) {
    packer.number(static_cast<std::uint8_t>(entry.kind));
    packer.number(entry.worker);
    if (entry.kind != Sockets::Kind::listening) continue;
    packer.text(config::to_string(entry.endpoint));
    packer.text(entry.listener);
  }
  POSTERN_ASSERT(packer.size() <= max_message, "addresses and names of 64 sockets fit into a message");
  return packer.take();
}

std::string pack(const Commit& commit) {
  Packer packer = begin(Kind::commit);
  packer.number(commit.version);
  packer.number(commit.workers);
  return packer.take();
}

std::string pack(const Renewed&) {
  return begin(Kind::renewed).take();
}

std::string pack(const Resolver& resolver) {
  Packer packer = begin(Kind::resolver);
  packer.number(resolver.run);
  packer.number(resolver.first);
  return packer.take();
}

std::string pack(const Announce&) {
  return begin(Kind::announce).take();
}

std::string pack(const Signer& signer) {
  Packer packer = begin(Kind::signer);
  packer.number(signer.worker);
  return packer.take();
}

std::string pack(const Drain& drain) {
  Packer packer = begin(Kind::drain);
  packer.flag(drain.superseded);
  packer.flag(drain.sockets_live_on);
  return packer.take();
}

std::string pack(const Stop&) {
  return begin(Kind::stop).take();
}

std::string pack(const Ask&) {
  return begin(Kind::ask).take();
}

std::string pack(const Alive& alive) {
  Packer packer = begin(Kind::alive);
  packer.number(alive.sessions);
  return packer.take();
}

std::string pack(const Counts& counts) {
  Packer packer = begin(Kind::counts);
  packer.number(counts.gateway_losses);
  packer.number(counts.resolver_losses);
  packer.flag(counts.reload_failed);
  return packer.take();
}

std::string pack(const Status& status) {
  Packer packer = begin(Kind::status);
  packer.flag(status.as_text);
  return packer.take();
}

std::string pack(const CertificateState& state) {
  POSTERN_ASSERT(state.name.size() <= max_name, "of a longer name nothing is said");
  Packer packer = begin(Kind::certificate);
  packer.text(state.name);
  packer.flag(state.differs_from_disk);
  for (const std::uint64_t count : state.failures) packer.number(count);
  packer.text(sentence(state.why, max_event));
  return packer.take();
}

std::string pack(const Event& event) {
  Packer packer = begin(Kind::event);
  packer.number(static_cast<std::uint64_t>(event.time));
  packer.number(static_cast<std::uint8_t>(event.kind));
  packer.text(sentence(event.text, max_event));
  return packer.take();
}

std::string pack(const Serving& serving) {
  Packer packer = begin(Kind::serving);
  packer.number(serving.version);
  return packer.take();
}

std::string pack(const Refused& refused) {
  Packer packer = begin(Kind::refused);
  packer.number(refused.version);
  packer.text(sentence(refused.text));
  return packer.take();
}

std::string pack(const ResolverUseless& useless) {
  Packer packer = begin(Kind::resolver_useless);
  packer.number(useless.run);
  packer.text(sentence(useless.why));
  return packer.take();
}

std::string pack(const Retired& retired) {
  Packer packer = begin(Kind::retired);
  packer.number(retired.version);
  return packer.take();
}

std::string pack(const SignerLost& lost) {
  Packer packer = begin(Kind::signer_lost);
  packer.number(lost.worker);
  return packer.take();
}

std::string pack(const Stopped&) {
  return begin(Kind::stopped).take();
}

Sockets::Entry unpack_entry(Unpacker& unpacker) {
  Sockets::Entry entry;
  entry.kind = unpacker.choice(Sockets::Kind::admin);
  entry.worker = unpacker.number<std::uint32_t>();
  unpacker.demand(entry.worker < max_workers);
  if (entry.kind != Sockets::Kind::listening) return entry;
  const std::string address = unpacker.text(max_endpoint);
  auto endpoint = config::parse_endpoint(address);
  unpacker.demand(endpoint && endpoint->kind == config::Endpoint::Kind::ip && to_string(*endpoint) == address);
  if (endpoint) entry.endpoint = std::move(*endpoint);
  entry.listener = unpacker.text(max_listener);
  unpacker.demand(!entry.listener.empty() && is_word(entry.listener));
  return entry;
}

Sockets unpack_sockets(Unpacker& unpacker) {
  Sockets sockets;
  sockets.version = unpacker.number<std::uint32_t>();
  const auto count = unpacker.number<std::uint16_t>();
  unpacker.demand(count > 0 && count <= max_descriptors);
  for (std::size_t i = 0; unpacker.ok() && i < count; ++i) sockets.entries.push_back(unpack_entry(unpacker));
  return sockets;
}

Commit unpack_commit(Unpacker& unpacker) {
  Commit commit;
  commit.version = unpacker.number<std::uint32_t>();
  commit.workers = unpacker.number<std::uint32_t>();
  unpacker.demand(commit.workers > 0 && commit.workers <= max_workers);
  return commit;
}

Resolver unpack_resolver(Unpacker& unpacker, std::size_t descriptors) {
  Resolver resolver;
  resolver.run = unpacker.number<std::uint64_t>();
  resolver.first = unpacker.number<std::uint32_t>();
  unpacker.demand(descriptors > 0 && descriptors <= max_descriptors);
  unpacker.demand(resolver.first < max_workers && descriptors <= max_workers - resolver.first);
  return resolver;
}

std::uint32_t unpack_worker(Unpacker& unpacker) {
  const auto worker = unpacker.number<std::uint32_t>();
  unpacker.demand(worker < max_workers);
  return worker;
}

Counts unpack_counts(Unpacker& unpacker) {
  Counts counts;
  counts.gateway_losses = unpacker.number<std::uint64_t>();
  counts.resolver_losses = unpacker.number<std::uint64_t>();
  counts.reload_failed = unpacker.flag();
  return counts;
}

CertificateState unpack_certificate(Unpacker& unpacker) {
  CertificateState state;
  state.name = unpacker.text(max_name);
  unpacker.demand(!state.name.empty());
  state.differs_from_disk = unpacker.flag();
  for (std::uint64_t& count : state.failures) count = unpacker.number<std::uint64_t>();
  state.why = sentence(unpacker.text(max_event));
  return state;
}

Event unpack_event(Unpacker& unpacker) {
  Event event;
  event.time = static_cast<std::int64_t>(unpacker.number<std::uint64_t>());
  event.kind = unpacker.choice(Event::Kind::resolver_lost);
  event.text = sentence(unpacker.text(max_event));
  return event;
}

// How many descriptors belong to it.
std::size_t wanted(const Order& order, std::size_t brought) {
  if (const auto* sockets = std::get_if<Sockets>(&order)) return sockets->entries.size();
  if (std::holds_alternative<Resolver>(order)) return brought;
  const bool one = std::holds_alternative<Snapshot>(order) || std::holds_alternative<Renewed>(order) ||
                   std::holds_alternative<Status>(order) || std::holds_alternative<Signer>(order);
  return one ? 1 : 0;
}

}  // namespace

std::string_view to_string(RenewalFailure value) {
  switch (value) {
    case RenewalFailure::unreadable: return "unreadable";
    case RenewalFailure::malformed: return "malformed";
    case RenewalFailure::mismatch: return "mismatch";
    case RenewalFailure::refused: return "refused";
    case RenewalFailure::guard: return "guard";
  }
  return "other";
}

std::string_view to_string(Event::Kind value) {
  switch (value) {
    case Event::Kind::reloaded: return "reloaded";
    case Event::Kind::reload_refused: return "reload refused";
    case Event::Kind::renewed: return "file read again";
    case Event::Kind::gateway_lost: return "gateway lost";
    case Event::Kind::resolver_lost: return "resolver lost";
  }
  return "other";
}

void remember(std::vector<Event>& events, Event event) {
  if (events.size() == most_events) events.erase(events.begin());
  events.push_back(std::move(event));
}

std::string encode(const Order& order) {
  return std::visit([](const auto& each) { return pack(each); }, order);
}

std::string encode(const Report& report) {
  return std::visit([](const auto& each) { return pack(each); }, report);
}

Result<Order> parse_order(std::string_view message, std::size_t descriptors) {
  if (message.size() > max_message) return broken("an order");
  Unpacker unpacker(message);
  Order order;
  switch (unpacker.choice(last_kind)) {
    case Kind::snapshot: order = Snapshot{unpacker.number<std::uint32_t>()}; break;
    case Kind::sockets: order = unpack_sockets(unpacker); break;
    case Kind::commit: order = unpack_commit(unpacker); break;
    case Kind::renewed: order = Renewed{}; break;
    case Kind::resolver: order = unpack_resolver(unpacker, descriptors); break;
    case Kind::drain: order = Drain{unpacker.flag(), unpacker.flag()}; break;
    case Kind::stop: order = Stop{}; break;
    case Kind::counts: order = unpack_counts(unpacker); break;
    case Kind::status: order = Status{unpacker.flag()}; break;
    case Kind::certificate: order = unpack_certificate(unpacker); break;
    case Kind::announce: order = Announce{}; break;
    case Kind::ask: order = Ask{}; break;
    case Kind::signer: order = Signer{unpack_worker(unpacker)}; break;
    case Kind::event: order = unpack_event(unpacker); break;
    case Kind::serving:
    case Kind::refused:
    case Kind::resolver_useless:
    case Kind::retired:
    case Kind::alive:
    case Kind::signer_lost:
    case Kind::stopped: return broken("an order");
  }
  if (!unpacker.done() || descriptors != wanted(order, descriptors)) return broken("an order");
  return order;
}

Result<Report> parse_report(std::string_view message) {
  if (message.size() > max_message) return broken("a report");
  Unpacker unpacker(message);
  Report report;
  switch (unpacker.choice(last_kind)) {
    case Kind::serving: report = Serving{unpacker.number<std::uint32_t>()}; break;
    case Kind::refused: {
      const auto version = unpacker.number<std::uint32_t>();
      report = Refused{version, sentence(unpacker.text(max_text))};
      break;
    }
    case Kind::resolver_useless: {
      const auto run = unpacker.number<std::uint64_t>();
      report = ResolverUseless{run, sentence(unpacker.text(max_text))};
      break;
    }
    case Kind::retired: report = Retired{unpacker.number<std::uint32_t>()}; break;
    case Kind::alive: report = Alive{unpacker.number<std::uint64_t>()}; break;
    case Kind::signer_lost: report = SignerLost{unpack_worker(unpacker)}; break;
    case Kind::stopped: report = Stopped{}; break;
    case Kind::snapshot:
    case Kind::sockets:
    case Kind::commit:
    case Kind::renewed:
    case Kind::resolver:
    case Kind::drain:
    case Kind::stop:
    case Kind::counts:
    case Kind::status:
    case Kind::certificate:
    case Kind::announce:
    case Kind::ask:
    case Kind::signer:
    case Kind::event: return broken("a report");
  }
  if (!unpacker.done()) return broken("a report");
  return report;
}

}  // namespace postern::keeper
