#include "proxy/resolver/launch.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace postern::resolver {

namespace {

constexpr const char* own_name = "postern-resolver";

std::string own_folder() {
  std::array<char, PATH_MAX> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  const std::string own(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  return own.substr(0, own.rfind('/') == std::string::npos ? 0 : own.rfind('/'));
}

}  // namespace

Result<net::Executable> find_program() {
  const std::string folder = own_folder();
  const std::string installed = folder + "/../libexec/postern/" + own_name;
  for (const std::string& place : {folder + "/" + own_name, folder + "/../" + own_name, installed}) {
    if (auto found = net::Executable::open(place)) return found;
  }
  return fail(Errc::not_found, std::string(own_name) +
                                   " is not there, without which no name can be looked up: install it as " + installed);
}

Result<Launched> launch(net::Loop& loop, const net::Executable& program, const Settings& settings, unsigned clients,
                        net::HelperProcess::OnEnd on_end) {
  const auto message = encode(settings);
  if (!message) return tl::unexpected(message.error());
  Launched launched;
  std::vector<UniqueFd> theirs;
  for (unsigned end = 0; end <= clients; ++end) {
    auto pair = net::packet_pair();
    if (!pair) return tl::unexpected(pair.error());
    if (end == 0) {
      launched.control = std::move(pair->first);
    } else {
      launched.clients.push_back(std::move(pair->first));
    }
    theirs.push_back(std::move(pair->second));
  }
  if (::send(launched.control.get(), message->data(), message->size(), MSG_NOSIGNAL) < 0) {
    return fail(Errc::io, std::string("telling the resolver what to do: ") + std::strerror(errno));
  }
  const auto file = program.name(3 + 1 + clients);
  if (!file) return tl::unexpected(file.error());
  std::vector<std::string> environment = net::inherited_environment();
  environment.emplace_back("UV_THREADPOOL_SIZE=16");  // as many of the system's names at a time
  auto process = net::HelperProcess::start(loop.raw(), *file, {own_name, std::to_string(clients)}, environment, theirs,
                                           std::move(on_end));
  if (!process) return tl::unexpected(process.error());
  launched.process = std::move(*process);
  return launched;
}

Result<Report> first_report(const UniqueFd& control, std::chrono::milliseconds patience) {
  std::vector<char> bytes(max_message);
  pollfd readable{control.get(), POLLIN, 0};
  int found = 0;
  do {
    found = ::poll(&readable, 1, static_cast<int>(patience.count()));
  } while (found < 0 && errno == EINTR);
  if (found != 1) return fail(Errc::timeout, std::string(own_name) + " says nothing");
  const ssize_t size = ::recv(control.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size <= 0) return fail(Errc::closed, std::string(own_name) + " has ended before it began");
  return parse_report({bytes.data(), static_cast<std::size_t>(size)});
}

bool is_refusal(Report::Kind kind) {
  using Kind = Report::Kind;
  return kind == Kind::servers_refused || kind == Kind::anchor_refused || kind == Kind::user_refused;
}

Result<Report> try_settings(const Settings& settings) {
  auto program = find_program();
  if (!program) return tl::unexpected(program.error());
  return try_settings(*program, settings);
}

Result<Report> try_settings(const net::Executable& program, const Settings& settings) {
  const auto say = [&program](const Settings& given) -> Result<Report> {
    net::Loop loop;
    const auto launched = launch(loop, program, given, 0, {});
    if (!launched) return tl::unexpected(launched.error());
    return first_report(launched->control, patience_at_start);
  };
  auto report = say(settings);
  if (report || report.error().code != Errc::closed || settings.trust_anchor.empty()) return report;
  // libunbound ends its process over some of what it cannot use. Is it the anchor?
  Settings without = settings;
  without.trust_anchor.clear();
  const auto other = say(without);
  if (!other || is_refusal(other->kind)) return report;
  return Report{Report::Kind::anchor_refused,
                "libunbound ends its process over this trust anchor, and does not say why"};
}

Result<std::string> unbound_version() {
  auto program = find_program();
  if (!program) return tl::unexpected(program.error());
  auto report = try_settings({});
  if (!report) return tl::unexpected(report.error());
  return std::move(report->text);
}

Result<std::unique_ptr<OwnResolver>> OwnResolver::start(net::Loop& loop, const Settings& settings) {
  auto program = find_program();
  if (!program) return tl::unexpected(program.error());
  auto launched = launch(loop, *program, settings, 1, {});
  if (!launched) return tl::unexpected(launched.error());
  const auto report = first_report(launched->control, patience_at_start);
  if (!report) return tl::unexpected(report.error());
  if (is_refusal(report->kind)) return fail(Errc::invalid_argument, report->text);
  std::unique_ptr<OwnResolver> own(new OwnResolver(loop));
  own->launched_ = std::move(*launched);
  own->client_.connect(std::move(own->launched_.clients.front()));
  return own;
}

// Before its process is waited for, which ends when that is closed.
OwnResolver::~OwnResolver() {
  launched_.control = UniqueFd();
}

}  // namespace postern::resolver
