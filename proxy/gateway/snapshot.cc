#include "proxy/gateway/snapshot.h"

#include <utility>

#include "config/load.h"
#include "proxy/keeper/bundle.h"

namespace postern::gateway {

namespace {

tl::unexpected<Error> first_error(const config::Loaded& loaded) {
  return fail(Errc::invalid_argument, loaded.first_error());
}

}  // namespace

bool asks_as_before(const runtime::Runtime& snapshot, const runtime::Runtime& previous) {
  return dns::are_the_same(previous.name_servers, snapshot.name_servers) &&
         previous.trust_anchor == snapshot.trust_anchor;
}

Result<std::shared_ptr<const runtime::Runtime>> make_snapshot(const UniqueFd& sealed,
                                                              const runtime::Runtime* previous) {
  auto bundle = keeper::unseal(sealed);
  if (!bundle) return tl::unexpected(bundle.error());
  config::Loaded loaded = config::load_text(bundle->text, bundle->name, config::environment_of(bundle->variables));
  if (!loaded.ok()) return first_error(loaded);
  runtime::Made made = runtime::make_runtime(std::move(loaded), bundle->files, previous);
  if (made.runtime == nullptr) return first_error(made.loaded);
  made.runtime->hostname = bundle->hostname;
  made.runtime->name_servers = bundle->name_servers;
  if (previous != nullptr && !asks_as_before(*made.runtime, *previous)) made.runtime->fitness->forget();
  equip(*made.runtime, policy::MtaStsStore::Access::read_write);
  return std::move(made.runtime);
}

}  // namespace postern::gateway
