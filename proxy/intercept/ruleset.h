// A plan as rules for nft(8) and commands of ip(8). Pure.
#pragma once

#include <string>
#include <vector>

#include "proxy/intercept/plan.h"

namespace postern::intercept {

// What `nft -f -` is fed with, in one transaction: the table is emptied and filled. Comments say what for, and which
// routes it needs.
std::string rules_of(const Plan& plan);
// Empties the table and removes it, whether it was there or not.
std::string rules_without(const Names& names);

// The words behind `ip -4` and `ip -6`: packets with our mark end on this machine.
using Words = std::vector<std::string>;
Words rule_words(const Names& names, const std::string& verb);   // "add", "delete"
Words route_words(const Names& names, const std::string& verb);  // "replace", "delete"

}  // namespace postern::intercept
