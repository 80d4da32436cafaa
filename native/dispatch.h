// Any ATen operator by name, through libtorch's dispatcher.
#pragma once

#include "environment.h"

namespace crossblock {

// findOperator(name, overload) -> {id, arguments: [{name, kind}], returns: [kind]} or null when absent.
Napi::Value findOperator(const Napi::CallbackInfo& info);

// callOperator(id, positional, keywords | undefined, discard) -> results, tensors as handles.
// With `discard` the results are dropped (in-place operators return an argument again).
Napi::Value callOperator(const Napi::CallbackInfo& info);

}  // namespace crossblock
