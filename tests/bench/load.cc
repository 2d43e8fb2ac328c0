// The bench's own traffic: the clients, the server behind the gateway and the yardsticks. Started by tests/bench/run.
#include <sys/resource.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/relay.h"
#include "tests/bench/sink.h"
#include "tests/bench/workload.h"

namespace postern::bench {
namespace {

constexpr std::string_view usage =
    "usage: postern_bench_load load work=sessions|lock_step|pipelined|bdat|noop|idle port=N\n"
    "           [security=plain|starttls|implicit] [resume=0|1] [size=N] [count=N] [connections=N] [seconds=N]\n"
    "       postern_bench_load sink [plain=PORT] [auth=PORT:BACKEND]\n"
    "           [starttls=PORT:CHAIN:KEY[:refuse-tickets]] [implicit=PORT:CHAIN:KEY[:refuse-tickets]]...\n"
    "       postern_bench_load relay PORT BACKEND\n";

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

int number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) die("no number: " + std::string(text));
  return value;
}

template <class T>
T choose(std::string_view name, const std::map<std::string_view, T>& choices) {
  const auto found = choices.find(name);
  if (found == choices.end()) die("unknown: " + std::string(name));
  return found->second;
}

const std::map<std::string_view, Security> securities = {
    {"plain", Security::plain}, {"starttls", Security::starttls}, {"implicit", Security::implicit}};
const std::map<std::string_view, Work> works = {{"sessions", Work::sessions},   {"lock_step", Work::lock_step},
                                                {"pipelined", Work::pipelined}, {"bdat", Work::bdat},
                                                {"noop", Work::noop},           {"idle", Work::idle}};

Workload read_workload(const std::vector<std::string_view>& arguments) {
  Workload workload;
  for (const std::string_view argument : arguments) {
    const auto parts = split(argument, '=');
    if (parts.size() != 2) die(std::string(usage));
    const auto key = parts[0], value = parts[1];
    if (key == "work")
      workload.work = choose(value, works);
    else if (key == "security")
      workload.security = choose(value, securities);
    else if (key == "port")
      workload.port = number(value);
    else if (key == "resume")
      workload.resume = number(value) != 0;
    else if (key == "size")
      workload.size = static_cast<std::size_t>(number(value));
    else if (key == "count")
      workload.count = static_cast<std::size_t>(number(value));
    else if (key == "connections")
      workload.connections = static_cast<std::size_t>(number(value));
    else if (key == "seconds")
      workload.limit = std::chrono::seconds(number(value));
    else
      die(std::string(usage));
  }
  if (workload.connections == 0 || workload.size < 100) die("connections from 1, size from 100");
  return workload;
}

SinkListener read_listener(std::string_view kind, const std::vector<std::string_view>& fields) {
  SinkListener listener;
  listener.port = number(fields[0]);
  if (kind == "auth" && fields.size() == 2) {
    listener.auth_backend = number(fields[1]);
    return listener;
  }
  listener.security = choose(kind, securities);
  listener.refuses_tickets = fields.size() == 4 && fields[3] == "refuse-tickets";
  if (fields.size() != (listener.security == Security::plain ? 1u : listener.refuses_tickets ? 4u : 3u))
    die(std::string(usage));
  if (fields.size() >= 3) listener.chain = fields[1], listener.key = fields[2];
  return listener;
}

std::vector<SinkListener> read_listeners(const std::vector<std::string_view>& arguments) {
  std::vector<SinkListener> listeners;
  for (const std::string_view argument : arguments) {
    const auto parts = split(argument, '=');
    listeners.push_back(read_listener(parts[0], split(parts.back(), ':')));
  }
  return listeners;
}

void allow_many_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) {
  using namespace postern::bench;
  std::signal(SIGPIPE, SIG_IGN);
  allow_many_descriptors();
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const std::string_view role = arguments.empty() ? "" : arguments.front();
  const std::vector<std::string_view> rest(arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  if (role == "load") {
    run_workload(read_workload(rest));
  } else if (role == "sink" && !rest.empty()) {
    run_sink(read_listeners(rest));
  } else if (role == "relay" && rest.size() == 2) {
    run_relay(number(rest[0]), number(rest[1]));
  } else {
    std::fputs(std::string(usage).c_str(), stderr);
    return 2;
  }
  return 0;
}
