// What sessions run on: the snapshot that one reading of the configuration comes to. A session keeps the one that it
// started with.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/files.h"
#include "config/load.h"
#include "proxy/dns/fitness.h"
#include "proxy/dns/name_servers.h"
#include "proxy/dns/trust_anchor.h"
#include "proxy/limits/tally.h"
#include "proxy/net/own_connections.h"
#include "proxy/policy/mta_sts_store.h"
#include "proxy/policy/policy_table.h"
#include "proxy/process/secret.h"
#include "tls/contexts.h"

namespace postern::runtime {

// What the sessions of a listener find in their snapshot. All of it lives as long as that.
struct Inbound {
  const config::InboundListener& settings;
  limits::Tally& tally;
  const tls::ServerContext* tls = nullptr;          // toward clients; null: none is offered
  const tls::ClientContext* backend_tls = nullptr;  // toward the server behind; null: none is used
};
struct Outbound {
  const config::OutboundListener& settings;
  limits::Tally& tally;
  const tls::ServerContext* tls = nullptr;  // as above
  const tls::RemoteContexts& remotes;
  policy::PolicyTable policies;
  std::shared_ptr<const process::Secret> credentials;  // for the relay; null: none
};

// Immutable, but for what is said to be thread-safe. Nothing in it is found by a position: another snapshot has another
// order.
struct Runtime {
  template <class Value>
  using ByName = std::map<std::string, Value, std::less<>>;

  config::Settings settings;
  std::shared_ptr<limits::Tallies> tallies;  // thread-safe
  std::shared_ptr<const tls::Contexts> contexts;
  ByName<Inbound> inbound;  // by the listener's name
  ByName<Outbound> outbound;
  std::string hostname;           // for replies of our own: as configured, or see equip()
  dns::TrustAnchor trust_anchor;  // what was in dns.trust_anchor; empty: nothing is ever secure
  dns::NameServers name_servers;  // as they were found at the start, where somebody asks; not make_runtime's business
  std::shared_ptr<dns::FitnessState> fitness = std::make_shared<dns::FitnessState>();  // thread-safe
  // By what listeners say in `ca_file`: what one's CAs have vouched for is nothing to another's. Thread-safe. Null: not
  // opened yet, see equip().
  ByName<std::shared_ptr<policy::MtaStsStore>> mta_sts;
  ByName<std::shared_ptr<process::Secret>> secrets;      // by path; thread-safe
  std::shared_ptr<net::OwnConnections> own_connections;  // null where no listener intercepts; thread-safe
};

struct Made {
  config::Loaded loaded;             // with every diagnostic
  std::shared_ptr<Runtime> runtime;  // null: one of them is an error
  dns::TrustAnchor trust_anchor;     // the snapshot's; known where there is none, too
};

// The one place where a configuration becomes something that runs. `loaded` comes of its text, `files` of what it names
// (config::files_of): nothing else is read, asked or opened. What outlives a snapshot is taken over from `previous` (or
// null): ticket keys, sessions of remote servers, secrets, stores of MTA-STS policies, the list of our own connections,
// how fit the name servers are, our own name, what is limited. Where there is an error, nothing of `previous` has
// changed.
Made make_runtime(config::Loaded loaded, const config::Files& files, const Runtime* previous = nullptr);

// Its own name, unless it has one: what this machine is called. Asks DNS, for five seconds at most; that it waits is
// logged.
void find_own_name(Runtime& runtime);

// What a snapshot has of this machine before it serves, and did not take over: its own name, and MTA-STS policies.
// Opens files below `state_directory` alone. What cannot be found or read is logged.
void equip(Runtime& runtime, policy::MtaStsStore::Access access);

// Where in the state directory the MTA-STS policies are that these CAs vouched for: for `system` the directory itself,
// for others a folder below it, made with the first policy and so by the user that Postern runs as. By what `ca_file`
// says, not by what is in the file, so that another CA in it makes nobody forget. Empty: in memory only.
std::string mta_sts_directory(const std::string& state_directory, const std::string& ca_file);

// A file of which the snapshot takes note when it changes.
struct LiveFile {
  std::string path;
  config::FileUse use = config::FileUse::none;
  // What is in it now. True: it is something else than before. An error: nobody can use it.
  std::function<Result<bool>(const Result<config::File>& read)> renew;
};
std::vector<LiveFile> live_files(const Runtime& runtime);

}  // namespace postern::runtime
