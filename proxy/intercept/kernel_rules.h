// What of ours the kernel has: a table of nftables, and for each family a rule and a route. Nothing else is touched.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "config/result.h"
#include "proxy/intercept/plan.h"
#include "proxy/intercept/ruleset.h"

namespace postern::intercept {

// As it was found, to be put back.
struct Present {
  std::string table;   // as nft prints it; empty: there is none
  std::string handle;  // another each time that a table is made
  bool routes = false;
  bool nothing() const { return table.empty() && !routes; }
};

class KernelRules {
 public:
  // Errc::not_found where a program is missing: ip(8) is looked for where routes may be concerned.
  static Result<KernelRules> find(Names names);

  Result<Present> look() const;
  // In place of what there is. The rules change in one transaction; after a failure they are what they were.
  Result<void> put(const std::string& rules, bool routes) const;
  // What there was before. With a handle only where the table is still that one: false, and nothing is changed, where
  // somebody else has put another in its place, or taken it away.
  Result<bool> put_back(const Present& before, const std::string& handle) const;
  // Whether there was something.
  Result<bool> remove() const;

 private:
  KernelRules(Names names, std::string nft, std::string ip)
      : names_(std::move(names)), nft_(std::move(nft)), ip_(std::move(ip)) {}

  Result<void> transaction(const std::string& rules) const;
  Result<bool> have(const char* family, const char* object) const;
  Result<void> change(const char* family, const Words& words) const;
  Result<bool> has_routes() const;
  Result<void> add_routes() const;
  Result<void> remove_routes() const;

  Names names_;
  std::string nft_;
  std::string ip_;
};

// The handle in the first line of `nft -a list table`; empty: none.
std::string handle_in(const std::string& listing);

}  // namespace postern::intercept
