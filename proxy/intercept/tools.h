// nft(8) and ip(8), as programs.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"

namespace postern::intercept {

// What root's PATH names; never the caller's.
extern const std::vector<std::string> tool_folders;
// Errc::not_found: in none of the folders, or not to be executed.
Result<std::string> find_tool(const std::string& name, const std::vector<std::string>& folders = tool_folders);

struct Ran {
  int status = 0;      // of its exit; 128 and more: a signal ended it
  std::string output;  // both of its outputs
  bool good() const { return status == 0; }
};
constexpr std::chrono::milliseconds tool_patience = std::chrono::seconds(10);
// Runs argv[0], a path, with nothing of ours but these: `input`, a sparse environment, signals by default. Returns at
// its end; what takes longer than `patience` is killed, and an error.
Result<Ran> run_tool(const std::vector<std::string>& argv, std::string_view input = {},
                     std::chrono::milliseconds patience = tool_patience);

// CAP_NET_ADMIN is effective.
bool may_change_network();

}  // namespace postern::intercept
