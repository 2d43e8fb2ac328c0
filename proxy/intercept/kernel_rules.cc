#include "proxy/intercept/kernel_rules.h"

#include <unistd.h>

#include <fstream>

#include "proxy/intercept/tools.h"

namespace postern::intercept {

namespace {

constexpr std::string_view is_not_there = "No such file or directory";
constexpr const char* addresses_of_v6 = "/proc/net/if_inet6";

// The families that this kernel has, as ip(8) calls them.
std::vector<const char*> families() {
  std::vector<const char*> found = {"-4"};
  if (::access(addresses_of_v6, F_OK) == 0) found.push_back("-6");
  return found;
}

// Those that can have routes. Where IPv6 is switched off (disable_ipv6) its file is there, and empty.
std::vector<const char*> families_in_use() {
  std::vector<const char*> found = {"-4"};
  std::ifstream addresses(addresses_of_v6);
  if (addresses && addresses.peek() != std::ifstream::traits_type::eof()) found.push_back("-6");
  return found;
}

tl::unexpected<Error> tool_said(const std::string& what, const Ran& ran) {
  std::string text = ran.output;
  while (text.ends_with('\n')) text.pop_back();
  return fail(Errc::io, what + ": " + (text.empty() ? "status " + std::to_string(ran.status) : text));
}

}  // namespace

std::string handle_in(const std::string& listing) {
  const std::string line = listing.substr(0, listing.find('\n'));
  constexpr std::string_view word = "# handle ";
  const std::size_t at = line.find(word);
  return at == std::string::npos ? std::string() : line.substr(at + word.size());
}

Result<KernelRules> KernelRules::find(Names names) {
  auto nft = find_tool("nft");
  if (!nft) return fail(nft.error().code, nft.error().message + ": install the package nftables");
  auto ip = find_tool("ip");
  if (!ip) return fail(ip.error().code, ip.error().message + ": install the package iproute2");
  return KernelRules(std::move(names), std::move(*nft), std::move(*ip));
}

Result<Present> KernelRules::look() const {
  Present present;
  const auto listed = run_tool({nft_, "-a", "-s", "list", "table", "inet", names_.table});
  if (!listed) return tl::unexpected(listed.error());
  if (listed->good()) {
    present.table = listed->output;
    present.handle = handle_in(present.table);
  } else if (listed->output.find(is_not_there) == std::string::npos) {
    return tool_said("nft cannot list " + names_.table, *listed);
  }
  const auto routes = has_routes();
  if (!routes) return tl::unexpected(routes.error());
  present.routes = *routes;
  return present;
}

// Routes first: without them what the rules have marked would go nowhere. Without marks they concern no packet.
Result<void> KernelRules::put(const std::string& rules, bool routes) const {
  if (routes) {
    if (auto added = add_routes(); !added) return added;
  }
  if (auto done = transaction(rules); !done) return done;
  return routes ? Result<void>() : remove_routes();
}

Result<bool> KernelRules::put_back(const Present& before, const std::string& handle) const {
  const std::string removal = handle.empty() ? rules_without(names_) : "delete table inet handle " + handle + "\n";
  if (before.routes) {
    if (auto added = add_routes(); !added) return tl::unexpected(added.error());
  }
  if (auto done = transaction(removal + before.table); !done) {
    const auto now = look();
    if (now && !handle.empty() && now->handle != handle) return false;
    return tl::unexpected(done.error());
  }
  if (!before.routes) {
    if (auto removed = remove_routes(); !removed) return tl::unexpected(removed.error());
  }
  return true;
}

Result<bool> KernelRules::remove() const {
  const auto before = look();
  if (!before) return tl::unexpected(before.error());
  if (!before->table.empty()) {
    if (auto done = transaction(rules_without(names_)); !done) return tl::unexpected(done.error());
  }
  if (auto removed = remove_routes(); !removed) return tl::unexpected(removed.error());
  return !before->nothing();
}

Result<void> KernelRules::transaction(const std::string& rules) const {
  const auto done = run_tool({nft_, "-f", "-"}, rules);
  if (!done) return tl::unexpected(done.error());
  if (!done->good()) return tool_said("nft refuses the rules", *done);
  return {};
}

// `object`: "rule" or "route".
Result<bool> KernelRules::have(const char* family, const char* object) const {
  const bool rule = std::string_view(object) == "rule";
  const std::string number = std::to_string(names_.number);
  const auto listed = rule ? run_tool({ip_, family, "rule", "list", "priority", "170"})
                           : run_tool({ip_, family, "route", "show", "table", number});
  if (!listed) return tl::unexpected(listed.error());
  // A table that never was is an error to list.
  if (!listed->good()) {
    return rule ? Result<bool>(tool_said("ip cannot list rules", *listed)) : Result<bool>(false);
  }
  return listed->output.find(rule ? "lookup " + number : std::string("local default")) != std::string::npos;
}

Result<void> KernelRules::change(const char* family, const Words& words) const {
  std::vector<std::string> argv = {ip_, family};
  argv.insert(argv.end(), words.begin(), words.end());
  const auto done = run_tool(argv);
  if (!done) return tl::unexpected(done.error());
  std::string text = std::string("ip ") + family;
  for (const std::string& word : words) text += " " + word;
  if (!done->good()) return tool_said(text, *done);
  return {};
}

Result<bool> KernelRules::has_routes() const {
  for (const char* family : families()) {
    for (const char* object : {"rule", "route"}) {
      auto found = have(family, object);
      if (!found || *found) return found;
    }
  }
  return false;
}

Result<void> KernelRules::add_routes() const {
  for (const char* family : families_in_use()) {
    const auto rule = have(family, "rule");
    if (!rule) return tl::unexpected(rule.error());
    if (auto done = change(family, route_words(names_, "replace")); !done) return done;
    if (*rule) continue;
    if (auto done = change(family, rule_words(names_, "add")); !done) return done;
  }
  return {};
}

Result<void> KernelRules::remove_routes() const {
  for (const char* family : families()) {
    const auto rule = have(family, "rule");
    const auto route = have(family, "route");
    if (!rule || !route) return tl::unexpected(rule ? route.error() : rule.error());
    if (*rule) {
      if (auto done = change(family, rule_words(names_, "delete")); !done) return done;
    }
    if (*route) {
      if (auto done = change(family, route_words(names_, "delete")); !done) return done;
    }
  }
  return {};
}

}  // namespace postern::intercept
