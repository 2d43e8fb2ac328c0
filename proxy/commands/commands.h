// What each subcommand takes and does. The result is the process's exit status.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proxy/init/wishes.h"
#include "proxy/intercept/plan.h"
#include "proxy/process/privileges.h"
#include "proxy/sink/sink_server.h"

namespace postern::commands {

struct RunOptions {
  std::string config;  // path of the configuration file
};
int command_run(const RunOptions& options);

struct InitOptions {
  std::map<init::Wish, std::vector<std::string>> said;
  std::string output = "/etc/postern/postern.yaml";  // "-": stdout
  bool from_environment = false;                     // POSTERN_* say what options do not; nobody is asked
  bool yes = false;                                  // nobody is asked: what is suggested is taken
  bool force = false;                                // also in place of a file that somebody has changed
};
// Writes a configuration for this machine, and says what to do next.
int command_init(const InitOptions& options);

struct ReloadOptions {
  std::string config;
};
// Has the running one reload, and says what came of it.
int command_reload(const ReloadOptions& options);
// What `run` executes for its gateway: not for people.
int command_gateway(const process::Privileges& privileges);

// What the status page shows, as text or JSON.
struct StatusOptions {
  std::string config;
  bool json = false;
};
int command_status(const StatusOptions& options);

struct CheckOptions {
  std::string config;
  bool print_reference = false;  // instead: every option with its default, on stdout
  bool print_metrics = false;    // instead: every metric, as docs/metrics.md
  bool print_manual = false;     // instead: postern.yaml(5)
  bool verbose = false;          // what the TLS library has, too
};
int command_check(const CheckOptions& options);

struct ProbeOptions {
  std::string target;    // a domain, or a host with a port
  std::string config;    // empty: the defaults, and the system's resolver
  std::string listener;  // whose settings; empty: the first outbound listener's
  bool json = false;
};
int command_probe(const ProbeOptions& options);

struct TlsaOptions {
  std::string config;
  bool verify = false;               // compare with what DNS publishes, instead of printing
  std::vector<std::string> hosts;    // these alone; empty: all that certificates name
  std::vector<std::uint16_t> ports;  // empty: the listeners'
};
int command_tlsa(const TlsaOptions& options);

// Rules of the firewall that bring connections to the listeners.
struct InterceptOptions {
  enum class What : std::uint8_t { show, on, off };
  What what = What::show;
  std::string config;
  intercept::Wishes wishes;
  bool confirm = false;                                         // on: they stay, and nobody is asked
  bool force = false;                                           // on: though nobody listens
  std::chrono::milliseconds within = std::chrono::seconds(60);  // on: … or they are taken back
};
int command_intercept(const InterceptOptions& options);

int command_sink(const sink::SinkOptions& options);

struct DemoOptions {
  bool once = false;  // do not stay up afterwards
};
int command_demo(const DemoOptions& options);

// Postern's version and those of its libraries.
int command_version();
std::string version();
void print_tls_library();

}  // namespace postern::commands
