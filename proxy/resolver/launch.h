// Starting a resolver process: by whoever has to, with what it has to know.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "proxy/net/executable.h"
#include "proxy/net/helper_process.h"
#include "proxy/net/loop.h"
#include "proxy/resolver/client.h"
#include "proxy/resolver/messages.h"

namespace postern::resolver {

// Beside this program (a build), or in libexec/postern. Errc::not_found says what to do.
Result<net::Executable> find_program();

// One that was started, and does not have to be fit yet.
struct Launched {
  std::unique_ptr<net::HelperProcess> process;
  UniqueFd control;               // closed first: that ends it
  std::vector<UniqueFd> clients;  // for Client::connect
};
Result<Launched> launch(net::Loop& loop, const net::Executable& program, const Settings& settings, unsigned clients,
                        net::HelperProcess::OnEnd on_end);

// What the first report may take: the machine may have much to do.
inline constexpr auto patience_at_start = std::chrono::seconds(20);

// The first thing that it says. Fails where it says nothing in time, or ends.
Result<Report> first_report(const UniqueFd& control, std::chrono::milliseconds patience);
// The reports that mean that it will not serve.
bool is_refusal(Report::Kind kind);

// Whether a resolver would take these settings; what it says of them. One that ends over the trust anchor has refused
// it.
Result<Report> try_settings(const Settings& settings);
Result<Report> try_settings(const net::Executable& program, const Settings& settings);

// libunbound's version, which only that program knows.
Result<std::string> unbound_version();

// A resolver for the time of a command.
class OwnResolver {
 public:
  // It has begun to serve.
  static Result<std::unique_ptr<OwnResolver>> start(net::Loop& loop, const Settings& settings);
  ~OwnResolver();
  OwnResolver(const OwnResolver&) = delete;
  OwnResolver& operator=(const OwnResolver&) = delete;

  Client& client() { return client_; }

 private:
  explicit OwnResolver(net::Loop& loop) : client_(loop) {}
  Launched launched_;
  Client client_;
};

}  // namespace postern::resolver
