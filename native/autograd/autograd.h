// Automatic differentiation: libtorch's engine, and operators whose backward is JavaScript.
#pragma once

#include <torch/csrc/autograd/variable.h>

#include "../environment.h"

namespace crossblock {

// The tensors of an array of handles.
torch::autograd::variable_list tensorsOf(Environment& environment, const Napi::Value& handles);

// setGradEnabled(enabled) -> whether it was enabled before
Napi::Value setGradEnabled(const Napi::CallbackInfo& info);
Napi::Value setRequiresGrad(const Napi::CallbackInfo& info);
// gradOf(handle) -> handle of the accumulated gradient, or null
Napi::Value gradOf(const Napi::CallbackInfo& info);
Napi::Value clearGrad(const Napi::CallbackInfo& info);
// backward(outputs, outputGradients | null): accumulates into the leaves
Napi::Value backward(const Napi::CallbackInfo& info);
// gradients(outputs, outputGradients | null, inputs) -> handles (null where unused)
Napi::Value gradients(const Napi::CallbackInfo& info);
// attachBackward(output, inputs, saved, callback): the graph keeps `saved`; callback(gradient handle
// | null, saved handles) owns those handles, returns one handle or null per input and gives it up
Napi::Value attachBackward(const Napi::CallbackInfo& info);

}  // namespace crossblock
