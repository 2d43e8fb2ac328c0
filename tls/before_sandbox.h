// What the TLS library wants of the system once, and could not have in a sandbox.
#pragma once

namespace postern::tls {

// Before the sandbox is entered.
void prepare_for_sandbox();

}  // namespace postern::tls
