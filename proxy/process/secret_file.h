// A password or a token in a file of its own.
#pragma once

#include <string>

#include "config/result.h"

namespace postern::process {

// The file's content without its final line breaks and a byte order mark before it. Read anew each time, so that a
// change is seen by the next who asks. Fails where it cannot be read, is empty, longer than 64 KiB or in UTF-16, or
// holds a NUL or a line break in its middle.
Result<std::string> read_secret_file(const std::string& path);

}  // namespace postern::process
