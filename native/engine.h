// Facts and settings of libtorch itself: version, threads, devices, random numbers.
#pragma once

#include "environment.h"

namespace crossblock {

Napi::Value engineFacts(const Napi::CallbackInfo& info);
Napi::Value setThreads(const Napi::CallbackInfo& info);
Napi::Value manualSeed(const Napi::CallbackInfo& info);
// newGenerator(device, seed) -> handle; releaseGenerator(handle)
Napi::Value newGenerator(const Napi::CallbackInfo& info);
Napi::Value releaseGenerator(const Napi::CallbackInfo& info);
Napi::Value synchronize(const Napi::CallbackInfo& info);
// deviceMemory(index) -> {free, total, peak} in bytes; peak is null where libtorch can't tell
Napi::Value deviceMemory(const Napi::CallbackInfo& info);

// releaseCachedMemory() -> bytes of host memory given back to the system
Napi::Value releaseCachedMemory(const Napi::CallbackInfo& info);

}  // namespace crossblock
