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
// deviceMemory(index) -> {free, total, used, peak} in bytes; what libtorch's tensors take and took at most is null where it
// can't tell; resetPeakMemory(index) lets the peak begin anew
Napi::Value deviceMemory(const Napi::CallbackInfo& info);
Napi::Value resetPeakMemory(const Napi::CallbackInfo& info);
// limitMemory(index | null, bytes) -> whether the limit holds. Of a device: what libtorch may take of it. Null is the host:
// what tensors of 64 KB and more may take. Beyond it there are errors of code OUT_OF_MEMORY; 0 lifts it.
Napi::Value limitMemory(const Napi::CallbackInfo& info);
// setDeterministic(on): sums in one order, an error where libtorch has none
Napi::Value setDeterministic(const Napi::CallbackInfo& info);

// releaseCachedMemory() -> bytes of host memory given back to the system
Napi::Value releaseCachedMemory(const Napi::CallbackInfo& info);

}  // namespace crossblock
