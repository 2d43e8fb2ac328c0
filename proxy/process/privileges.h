// What each of our processes gives up of the rights that it was started with.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "proxy/process/sandbox.h"

namespace postern::process {

struct UserIds {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;  // the user's own group
};
// Errc::not_found where the system knows no such user.
Result<UserIds> find_user(const std::string& name);

// A user with all of the groups that the system gives it, as they were when it was asked.
struct Identity {
  UserIds user;
  std::vector<gid_t> groups;
};
// Errc::not_found where the system knows no such user.
Result<Identity> find_identity(const std::string& user);
// "65534:65534:65534,100": for one who may open nothing to look it up. The name is the caller's to know.
std::string to_string(const Identity& identity);
Result<Identity> parse_identity(const std::string& user, std::string_view text);

// Those of a process that serves: the gateway, or the resolver.
struct Privileges {
  std::string user;                                 // empty: stay who we are
  std::optional<Identity> identity = std::nullopt;  // its; nothing: it is looked up
  bool foreign_source_addresses =
      false;  // client_address: transparent, source: client; keeps CAP_NET_RAW, which IP_TRANSPARENT asks for
  bool marks_sockets = false;  // socket_mark; keeps CAP_NET_ADMIN, which SO_MARK asks for
  Sandbox sandbox = {};        // to be entered once they are dropped, by enter_sandbox()
};
// Gives up root for good: groups, then user, in all three of their forms, checked to be irreversible; all capabilities
// but those that are named, and, where root is to stay root, the one that lets it write where others own; and sets
// no_new_privs. Call it before threads start: capabilities and no_new_privs belong to a thread and are inherited by
// those that it starts.
Result<void> drop_privileges(const Privileges& privileges);

// The keeper's part, for a gateway with these: of its capabilities stay those to read files, to bind ports below 1024,
// and to start and end processes as another user, beside what the gateway is to have. But where it starts programs
// of `exec`, which may be or start set-user-ID ones (exim4, qmail-queue), nothing that it starts can have more.
// Likewise before threads start.
Result<void> drop_all_but_keeping(const Privileges& gateway, bool starts_programs);

}  // namespace postern::process
