// Work recorded once and replayed by the GPU, and the stream that it is recorded on.
#pragma once

#include <napi.h>

namespace crossblock {

// useOwnStream(device): work of this thread goes to a stream of its own from now on; the default one can't be recorded.
Napi::Value useOwnStream(const Napi::CallbackInfo& info);
// captureGraph(device, body) -> graph: records what `body` launches, without running it.
Napi::Value captureGraph(const Napi::CallbackInfo& info);
Napi::Value replayGraph(const Napi::CallbackInfo& info);
Napi::Value releaseGraph(const Napi::CallbackInfo& info);

}  // namespace crossblock
