// BoringSSL's error queue, drained into one Error.
#pragma once

#include <string_view>

#include "config/result.h"

namespace postern::tls {

// "`doing`: reason", from the oldest entry of this thread's error queue, the cause; the queue is empty afterwards.
Error take_error(Errc code, std::string_view doing);

// The reason alone, in words ("no shared cipher"). The queue is empty afterwards.
std::string take_error_reason();

}  // namespace postern::tls
