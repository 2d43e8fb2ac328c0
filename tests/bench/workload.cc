#include "tests/bench/workload.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

namespace postern::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Lines of 78 octets, none of which begins with a dot.
std::string make_body(std::size_t size) {
  std::string body = "From: sender@bench.example\r\nTo: recipient@bench.example\r\nSubject: bench\r\n\r\n";
  for (std::size_t n = 0; body.size() < size; ++n) {
    for (std::size_t column = 0; column < 76; ++column) body += static_cast<char>('!' + (n + column) % 13 + 16);
    body += "\r\n";
  }
  body.resize(size);
  body.replace(size - 2, 2, "\r\n");
  return body;
}

// The script holds the stopwatch: it is told when to look at it, and says when to go on.
void tell_script(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void await_script() {
  for (int next = std::getchar(); next != '\n';) {
    if (next == EOF) die("the script went away");
    next = std::getchar();
  }
}

class Run {
 public:
  explicit Run(const Workload& workload)
      : workload_(workload), body_(make_body(workload.size)), tls_(workload.resume), clients_(workload.connections) {}

  void start();

 private:
  using ClientPtr = std::unique_ptr<Client>;

  void in_parallel(Task (Run::*job)(ClientPtr& client));
  void measure(Task (Run::*job)(ClientPtr& client));
  Task open(ClientPtr& client);
  Task set_up(ClientPtr& client);
  Task work(ClientPtr& client);
  Task unit(ClientPtr& client);
  Task message(Client& client);
  Task open_idle(ClientPtr& client);
  Task use_idle(ClientPtr& client);
  bool next() { return taken_++ < workload_.count && Clock::now() < deadline_; }
  std::string result();

  const Workload workload_;
  const std::string body_;
  const std::string first_body_ = make_body(1024);
  ClientTls tls_;
  Poller poller_;
  std::vector<ClientPtr> clients_;
  std::vector<ClientPtr> idle_;
  std::vector<std::uint32_t> nanoseconds_;
  std::size_t taken_ = 0;
  Clock::time_point started_;
  Clock::time_point deadline_;
};

void Run::start() {
  in_parallel(&Run::set_up);
  tls_.handshakes = tls_.resumed = 0;
  if (workload_.work == Work::idle) {
    clients_.resize(1);  // one after the other is enough
    measure(&Run::open_idle);
    measure(&Run::use_idle);
  } else {
    measure(&Run::work);
  }
  await_script();
}

// One coroutine per connection, all in this thread, until all are done.
void Run::in_parallel(Task (Run::*job)(ClientPtr& client)) {
  std::vector<Task> tasks;
  for (auto& client : clients_) {
    tasks.push_back((this->*job)(client));
    tasks.back().start();
  }
  const auto all_done = [&] { return std::all_of(tasks.begin(), tasks.end(), [](const Task& t) { return t.done(); }); };
  while (!all_done()) poller_.turn();
}

void Run::measure(Task (Run::*job)(ClientPtr& client)) {
  tell_script("ready");
  await_script();
  taken_ = 0;
  nanoseconds_.clear();
  started_ = Clock::now();
  deadline_ = started_ + workload_.limit;
  in_parallel(job);
  tell_script(result());
}

Task Run::open(ClientPtr& client) {
  client = std::make_unique<Client>(workload_.port, poller_);
  co_await client->open(workload_.security, tls_);
}

// One message (or session) before the stopwatch runs: nginx dials its backend only at the first RCPT, tickets must
// exist before they can be used, and nobody's first touch of memory is to be measured.
Task Run::set_up(ClientPtr& client) {
  co_await open(client);
  if (workload_.work != Work::sessions) co_await client->send_lock_step(first_body_);
  if (workload_.work == Work::sessions || workload_.work == Work::idle) {
    co_await client->quit();
    client.reset();
  }
}

Task Run::work(ClientPtr& client) {
  while (next()) {
    const auto begin = Clock::now();
    co_await unit(client);
    nanoseconds_.push_back(static_cast<std::uint32_t>((Clock::now() - begin).count()));
  }
}

Task Run::unit(ClientPtr& client) {
  if (workload_.work == Work::noop) {
    co_await client->noop();
  } else if (workload_.work != Work::sessions) {
    co_await message(*client);
  } else {
    co_await open(client);
    co_await client->quit();
    client.reset();
  }
}

Task Run::message(Client& client) {
  if (workload_.work == Work::bdat) return client.send_bdat(body_);
  if (workload_.work == Work::lock_step) return client.send_lock_step(body_);
  return client.send_pipelined(body_);
}

Task Run::open_idle(ClientPtr&) {
  while (next()) {
    idle_.emplace_back();
    co_await open(idle_.back());
    nanoseconds_.push_back(0);
  }
}

Task Run::use_idle(ClientPtr&) {
  for (auto& client : idle_) {
    co_await message(*client);
    nanoseconds_.push_back(0);
  }
}

std::string Run::result() {
  const std::chrono::duration<double> elapsed = Clock::now() - started_;
  auto& all = nanoseconds_;
  std::sort(all.begin(), all.end());
  const auto quantile = [&all](double share) {
    return all.empty() ? 0.0 : all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))] / 1000.0;
  };
  char line[256];
  std::snprintf(line, sizeof line,
                R"({"units": %zu, "seconds": %.6f, "handshakes": %zu, "resumed": %zu, "p50_us": %.1f, "p99_us": %.1f, )"
                R"("max_us": %.1f})",
                all.size(), elapsed.count(), tls_.handshakes, tls_.resumed, quantile(0.5), quantile(0.99),
                quantile(1.0));
  return line;
}

}  // namespace

void run_workload(const Workload& workload) {
  Run(workload).start();
}

}  // namespace postern::bench
