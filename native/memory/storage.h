// Tensors and their bytes: zero-copy views of JavaScript memory and of tensor memory.
#pragma once

#include "environment.h"

namespace crossblock {

// fromBuffer(arrayBuffer, byteOffset, shape, dtype) -> handle of a CPU tensor that views the buffer.
Napi::Value fromBuffer(const Napi::CallbackInfo& info);
// toBuffer(handle) -> ArrayBuffer that views a contiguous CPU tensor and keeps its memory alive.
Napi::Value toBuffer(const Napi::CallbackInfo& info);
// describe(handle) -> {shape, dtype, device, requiresGrad}
Napi::Value describe(const Napi::CallbackInfo& info);
// release(handle) -> whether it was live
Napi::Value release(const Napi::CallbackInfo& info);
Napi::Value liveTensors(const Napi::CallbackInfo& info);

}  // namespace crossblock
