// Postfix's main.cf and master.cf, as far as they tell who listens where and who may say whom they speak for.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/init/facts.h"

namespace postern::init {

// Parameters of main.cf by name, as they are written: `$name` stays. The last one counts.
using PostfixParameters = std::map<std::string, std::string>;
PostfixParameters parse_main_cf(std::string_view text);

// The services of type `inet` and what holds for each of them, whether by main.cf or by its own -o.
std::vector<PostfixService> parse_master_cf(std::string_view text, const PostfixParameters& main);

// The line that has it listen at `to` behind Postern: its options but for those of TLS, which is Postern's now, and
// told who the client is. Of a service that is no smtpd (postscreen, or none), a plain one.
std::string moved_line(const PostfixService& service, const std::string& to, config::ClientAddress client_address);

// "127.0.0.1:2525" as an address; nothing for one that only says a port or the name of one.
std::optional<config::Endpoint> own_address(const PostfixService& service);
// Its port, also of "smtp", "submission", "submissions" and "smtps"; 0: unknown.
std::uint16_t port_of(const PostfixService& service);

}  // namespace postern::init
