// Asks the system to have bytes of a file in memory before they are read.
#pragma once

#include "environment.h"

namespace crossblock {

// readAhead([fd, offset, length, ...]) -> whether the system has a way to. Returns at once: a thread asks, and a later call
// takes the place of what is left of this one. What fails there is only slower later.
Napi::Value readAhead(const Napi::CallbackInfo& info);

}  // namespace crossblock
