// Asks a server behind what it offers.
#pragma once

#include <string_view>

#include "proxy/init/facts.h"

namespace postern::init {

// Greeting, EHLO, QUIT; waits for five seconds at most. Only one that is given by its IP address is asked.
ServerFacts ask_server(const config::Endpoint& address);

// What its reply to EHLO says.
bool offers_xclient(std::string_view reply);

}  // namespace postern::init
