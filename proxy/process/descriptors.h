// Descriptors that whoever started us left open.
#pragma once

namespace postern::process {

// Marks every open descriptor from `first` on close-on-exec, so that programs we start inherit none of them. Our own
// are opened that way; these came from a shell or a service manager.
void close_on_exec_from(int first);
// Closes them, in a process of ours that has just begun.
void close_from(int first);

}  // namespace postern::process
