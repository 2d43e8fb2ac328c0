#include "proxy/gateway/resolver_watch.h"

#include <utility>

#include "proxy/observe/log.h"
#include "proxy/runtime/resolver_settings.h"

namespace postern::gateway {

namespace {

void tell(const resolver::Supervisor::News& news) {
  using Kind = resolver::Supervisor::News::Kind;
  switch (news.kind) {
    case Kind::lost:
      return log::warning("the resolver was lost",
                          {{"reason", news.text},
                           {"effect", "what it was asked has failed, and mail that needs the answer waits"},
                           {"another_after_ms", news.pause.count()}});
    case Kind::back: return log::info("there is a resolver again", {});
    case Kind::servers_changed: return log::info("the name servers have changed", {{"servers", news.text}});
    case Kind::trouble: return log::warning("the resolver complains", {{"reason", news.text}});
  }
}

}  // namespace

Result<std::unique_ptr<ResolverWatch>> ResolverWatch::start(net::Loop& loop, const runtime::Runtime& runtime,
                                                            const Workers& workers) {
  auto program = resolver::Program::find();
  if (!program) return tl::unexpected(program.error());
  std::unique_ptr<ResolverWatch> watch(new ResolverWatch(loop, runtime, workers, std::move(*program)));
  if (auto error = watch->supervisor_.start()) return tl::unexpected(std::move(*error));
  return watch;
}

ResolverWatch::ResolverWatch(net::Loop& loop, const runtime::Runtime& runtime, const Workers& workers,
                             resolver::Program program)
    : loop_(loop),
      workers_(workers),
      alive_(std::make_shared<ResolverWatch*>(this)),
      supervisor_(
          loop,
          {std::move(program), runtime::resolver_settings(runtime.settings, runtime.name_servers, runtime.trust_anchor),
           static_cast<unsigned>(workers.size()),
           [this](std::vector<UniqueFd> connections, std::uint64_t run) { connect(std::move(connections), run); },
           tell}) {}

void ResolverWatch::connect(std::vector<UniqueFd> connections, std::uint64_t run) {
  for (std::size_t w = 0; w < workers_.size(); ++w) {
    workers_[w]->use_resolver(std::move(connections[w]),
                              [&loop = loop_, run, alive = std::weak_ptr(alive_)](const std::string& why) {
                                loop.post([run, why, alive] {
                                  if (const auto self = alive.lock()) (*self)->supervisor_.replace(run, why);
                                });
                              });
  }
}

}  // namespace postern::gateway
