#include "proxy/process/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <vector>

namespace postern::process {
namespace {

tl::unexpected<Error> system_failure(const std::string& what) {
  return fail(Errc::io, what + ": " + std::strerror(errno));
}

// Permits and makes effective these alone. The raw call: libcap would be a library for these few lines.
Result<void> keep_only(const std::vector<int>& capabilities) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  for (const int capability : capabilities) {
    auto& set = sets[static_cast<std::size_t>(CAP_TO_INDEX(capability))];
    set.permitted |= CAP_TO_MASK(capability);
    set.effective |= CAP_TO_MASK(capability);
  }
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return system_failure("cannot keep capabilities");
  return {};
}

// What of these we have: permitted, effective, and inherited by who is executed.
Result<void> limit_to(const std::vector<int>& capabilities) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  std::array<std::uint32_t, _LINUX_CAPABILITY_U32S_3> wanted{};
  for (const int capability : capabilities) {
    wanted[static_cast<std::size_t>(CAP_TO_INDEX(capability))] |= CAP_TO_MASK(capability);
  }
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return system_failure("cannot read capabilities");
  for (std::size_t i = 0; i < sets.size(); ++i) {
    sets[i].permitted &= wanted[i];
    sets[i].effective &= wanted[i];
    sets[i].inheritable &= wanted[i];
  }
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return system_failure("cannot give up capabilities");
  return {};
}

// For us and all whom we start. Whoever may not do that has no need to: it is not root.
void limit_bounding_set_to(const std::vector<int>& capabilities) {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    const bool stays = std::ranges::find(capabilities, capability) != capabilities.end();
    if (!stays) ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
}

// Either of them is enough for either purpose, on newer kernels.
std::vector<int> network_capabilities(const Privileges& privileges) {
  if (!privileges.foreign_source_addresses && !privileges.marks_sockets) return {};
  return {CAP_NET_RAW, CAP_NET_ADMIN};
}

Result<void> forbid_gains() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) return {};
  return system_failure("cannot set no_new_privs");
}

Result<void> become(const Identity& identity, const std::vector<int>& capabilities) {
  const UserIds& user = identity.user;
  const bool keep_capabilities = !capabilities.empty() && user.uid != 0;
  if (keep_capabilities && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return system_failure("cannot keep capabilities");
  if (::setgroups(identity.groups.size(), identity.groups.data()) != 0)
    return system_failure("cannot take the groups of " + user.name);
  if (::setresgid(user.gid, user.gid, user.gid) != 0) return system_failure("cannot take the group of " + user.name);
  if (::setresuid(user.uid, user.uid, user.uid) != 0) return system_failure("cannot become " + user.name);
  if (keep_capabilities) {
    if (auto kept = keep_only(capabilities); !kept) return kept;
    if (::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return system_failure("cannot seal capabilities");
  }
  return {};
}

// A system call that reports success and changes nothing has happened before; mail is worth the second look.
Result<void> verify_irreversible(const UserIds& user) {
  uid_t real_uid = 0;
  uid_t effective_uid = 0;
  uid_t saved_uid = 0;
  gid_t real_gid = 0;
  gid_t effective_gid = 0;
  gid_t saved_gid = 0;
  if (::getresuid(&real_uid, &effective_uid, &saved_uid) != 0 ||
      ::getresgid(&real_gid, &effective_gid, &saved_gid) != 0) {
    return system_failure("cannot read back who we are");
  }
  const bool changed = real_uid == user.uid && effective_uid == user.uid && saved_uid == user.uid &&
                       real_gid == user.gid && effective_gid == user.gid && saved_gid == user.gid;
  if (!changed) return fail(Errc::io, "did not become " + user.name);
  if (user.uid != 0 && (::setuid(0) == 0 || ::seteuid(0) == 0)) {
    return fail(Errc::io, "became " + user.name + ", but could become root again");
  }
  return {};
}

}  // namespace

Result<UserIds> find_user(const std::string& name) {
  std::vector<char> memory(16384);
  passwd entry{};
  passwd* found = nullptr;
  int status = 0;
  while ((status = ::getpwnam_r(name.c_str(), &entry, memory.data(), memory.size(), &found)) == ERANGE &&
         memory.size() < (std::size_t{1} << 20U)) {
    memory.resize(memory.size() * 2);
  }
  if (found != nullptr) return UserIds{name, entry.pw_uid, entry.pw_gid};
  // The C library may say "not found" with any of these (getpwnam_r(3)).
  if (status == 0 || status == ENOENT || status == ESRCH || status == EBADF || status == EPERM) {
    return fail(Errc::not_found, "there is no user \"" + name + "\" on this system");
  }
  return fail(Errc::io, "cannot look up user \"" + name + "\": " + std::strerror(status));
}

Result<Identity> find_identity(const std::string& user) {
  const auto found = find_user(user);
  if (!found) return tl::unexpected(found.error());
  Identity identity{*found, std::vector<gid_t>(64)};
  int count = static_cast<int>(identity.groups.size());
  while (::getgrouplist(user.c_str(), found->gid, identity.groups.data(), &count) < 0) {
    const auto more = static_cast<std::size_t>(count);
    if (more <= identity.groups.size()) return fail(Errc::io, "cannot find the groups of " + user);
    identity.groups.resize(more);
  }
  identity.groups.resize(static_cast<std::size_t>(count));
  return identity;
}

std::string to_string(const Identity& identity) {
  std::string text = std::to_string(identity.user.uid) + ":" + std::to_string(identity.user.gid) + ":";
  for (const gid_t group : identity.groups) text += (text.ends_with(':') ? "" : ",") + std::to_string(group);
  return text;
}

Result<Identity> parse_identity(const std::string& user, std::string_view text) {
  Identity identity{{user}, {}};
  const auto number = [&text](char end, auto& value) {
    const std::size_t size = std::min(text.find(end), text.size());
    const auto [last, error] = std::from_chars(text.data(), text.data() + size, value);
    const bool good = error == std::errc{} && last == text.data() + size;
    text.remove_prefix(std::min(size + 1, text.size()));
    return good;
  };
  bool good = number(':', identity.user.uid) && number(':', identity.user.gid);
  while (good && !text.empty()) good = number(',', identity.groups.emplace_back());
  if (!good) return fail(Errc::invalid_argument, "no user's numbers");
  return identity;
}

Result<void> drop_privileges(const Privileges& privileges) {
  if (!privileges.user.empty() && ::geteuid() == 0) {
    const auto identity = privileges.identity ? Result<Identity>(*privileges.identity) : find_identity(privileges.user);
    if (!identity) return tl::unexpected(identity.error());
    std::vector<int> capabilities;
    if (privileges.foreign_source_addresses) capabilities.push_back(CAP_NET_RAW);
    if (privileges.marks_sockets) capabilities.push_back(CAP_NET_ADMIN);
    if (auto done = become(*identity, capabilities); !done) return done;
    if (auto sure = verify_irreversible(identity->user); !sure) return sure;
    if (identity->user.uid == 0) {  // user: root changes nothing of that by itself
      capabilities.push_back(CAP_DAC_OVERRIDE);
      if (auto done = limit_to(capabilities); !done) return done;
    }
  } else {
    std::vector<int> capabilities = network_capabilities(privileges);
    if (::geteuid() == 0) capabilities.push_back(CAP_DAC_OVERRIDE);
    if (auto done = limit_to(capabilities); !done) return done;
  }
  return forbid_gains();
}

Result<void> drop_all_but_keeping(const Privileges& gateway, bool starts_programs) {
  std::vector<int> capabilities = network_capabilities(gateway);
  for (const int each : {CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID, CAP_KILL}) {
    capabilities.push_back(each);
  }
  if (gateway.user.empty()) capabilities.push_back(CAP_DAC_OVERRIDE);  // where root is to stay root
  if (!starts_programs) limit_bounding_set_to(capabilities);
  if (auto done = limit_to(capabilities); !done || starts_programs) return done;
  return forbid_gains();
}

}  // namespace postern::process
