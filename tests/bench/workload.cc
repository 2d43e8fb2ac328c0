#include "tests/bench/workload.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <thread>
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
      : workload_(workload),
        body_(make_body(workload.size)),
        meeting_(static_cast<std::ptrdiff_t>(workload.connections) + 1) {}

  void start();

 private:
  struct Thread {
    explicit Thread(bool resume) : tls(resume) {}
    ClientTls tls;
    std::vector<std::unique_ptr<Client>> clients;
    std::vector<std::uint32_t> nanoseconds;
    std::thread runner;
  };

  void work_in(Thread& thread);
  void work_idle(Thread& thread);
  void set_up(Thread& thread);
  void unit(Thread& thread);
  void message(Client& client);
  bool next() { return taken_.fetch_add(1) < workload_.count && Clock::now() < deadline_; }
  std::string result();

  const Workload workload_;
  const std::string body_;
  std::barrier<> meeting_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::atomic<std::size_t> taken_ = 0;
  Clock::time_point started_;
  Clock::time_point deadline_;
};

void Run::start() {
  for (std::size_t n = 0; n < workload_.connections; ++n)
    threads_.push_back(std::make_unique<Thread>(workload_.resume));
  for (auto& thread : threads_) {
    thread->runner =
        std::thread([this, &thread = *thread] { workload_.work == Work::idle ? work_idle(thread) : work_in(thread); });
  }
  meeting_.arrive_and_wait();  // everybody is set up
  for (int phase = 0; phase < (workload_.work == Work::idle ? 2 : 1); ++phase) {
    tell_script("ready");
    await_script();
    taken_ = 0;
    started_ = Clock::now();
    deadline_ = started_ + workload_.limit;
    meeting_.arrive_and_wait();
    meeting_.arrive_and_wait();  // the work is done
    tell_script(result());
  }
  await_script();
  meeting_.arrive_and_wait();
  for (auto& thread : threads_) thread->runner.join();
}

void Run::work_in(Thread& thread) {
  set_up(thread);
  meeting_.arrive_and_wait();
  meeting_.arrive_and_wait();
  while (next()) {
    const auto begin = Clock::now();
    unit(thread);
    thread.nanoseconds.push_back(static_cast<std::uint32_t>((Clock::now() - begin).count()));
  }
  meeting_.arrive_and_wait();
  meeting_.arrive_and_wait();
  for (auto& client : thread.clients) client->quit();
}

void Run::work_idle(Thread& thread) {
  set_up(thread);
  thread.clients.front()->quit();
  thread.clients.clear();
  meeting_.arrive_and_wait();
  meeting_.arrive_and_wait();
  while (next()) {
    thread.clients.push_back(std::make_unique<Client>(workload_.port, workload_.security, thread.tls));
    thread.nanoseconds.push_back(0);
  }
  meeting_.arrive_and_wait();
  meeting_.arrive_and_wait();
  for (auto& client : thread.clients) message(*client);
  meeting_.arrive_and_wait();
  meeting_.arrive_and_wait();
}

// One message (or session) before the stopwatch runs: nginx dials its backend only at the first RCPT, tickets must
// exist before they can be used, and nobody's first touch of memory is to be measured.
void Run::set_up(Thread& thread) {
  thread.clients.push_back(std::make_unique<Client>(workload_.port, workload_.security, thread.tls));
  if (workload_.work == Work::sessions) {
    thread.clients.back()->quit();
    thread.clients.clear();
  } else {
    thread.clients.back()->send_lock_step(make_body(1024));
  }
  thread.tls.handshakes = thread.tls.resumed = 0;
}

void Run::unit(Thread& thread) {
  switch (workload_.work) {
    case Work::sessions: {
      Client client(workload_.port, workload_.security, thread.tls);
      client.quit();
      return;
    }
    case Work::noop: thread.clients.front()->noop(); return;
    case Work::idle:
    case Work::lock_step:
    case Work::pipelined:
    case Work::bdat: message(*thread.clients.front()); return;
  }
}

void Run::message(Client& client) {
  if (workload_.work == Work::bdat)
    client.send_bdat(body_);
  else if (workload_.work == Work::lock_step)
    client.send_lock_step(body_);
  else
    client.send_pipelined(body_);
}

std::string Run::result() {
  const std::chrono::duration<double> elapsed = Clock::now() - started_;
  std::vector<std::uint32_t> all;
  std::size_t handshakes = 0, resumed = 0;
  for (const auto& thread : threads_) {
    all.insert(all.end(), thread->nanoseconds.begin(), thread->nanoseconds.end());
    handshakes += thread->tls.handshakes;
    resumed += thread->tls.resumed;
  }
  std::sort(all.begin(), all.end());
  const auto quantile = [&all](double share) {
    return all.empty() ? 0.0 : all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))] / 1000.0;
  };
  char line[256];
  std::snprintf(line, sizeof line,
                R"({"units": %zu, "seconds": %.6f, "handshakes": %zu, "resumed": %zu, "p50_us": %.1f, "p99_us": %.1f, )"
                R"("max_us": %.1f})",
                all.size(), elapsed.count(), handshakes, resumed, quantile(0.5), quantile(0.99), quantile(1.0));
  return line;
}

}  // namespace

void run_workload(const Workload& workload) {
  Run(workload).start();
}

}  // namespace postern::bench
