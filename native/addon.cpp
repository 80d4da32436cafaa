// The addon's table of functions; src/tensor/engine/addon.ts mirrors it in types.
#include "autograd/autograd.h"
#include "cuda/graph.h"
#include "dispatch.h"
#include "engine.h"
#include "environment.h"
#include "memory/host_allocator.h"
#include "memory/read_ahead.h"
#include "memory/storage.h"

namespace crossblock {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  installHostAllocator();
  // State per environment, because the engine runs in a worker while the main thread may load it too.
  env.SetInstanceData(new std::shared_ptr<Environment>(std::make_shared<Environment>(env)));
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("findOperator", findOperator);
  add("callOperator", callOperator);
  add("fromBuffer", fromBuffer);
  add("toBuffer", toBuffer);
  add("describe", describe);
  add("release", release);
  add("liveTensors", liveTensors);
  add("setGradEnabled", setGradEnabled);
  add("setRequiresGrad", setRequiresGrad);
  add("gradOf", gradOf);
  add("clearGrad", clearGrad);
  add("backward", backward);
  add("gradients", gradients);
  add("attachBackward", attachBackward);
  add("engineFacts", engineFacts);
  add("setThreads", setThreads);
  add("manualSeed", manualSeed);
  add("newGenerator", newGenerator);
  add("releaseGenerator", releaseGenerator);
  add("synchronize", synchronize);
  add("deviceMemory", deviceMemory);
  add("resetPeakMemory", resetPeakMemory);
  add("limitMemory", limitMemory);
  add("setDeterministic", setDeterministic);
  add("releaseCachedMemory", releaseCachedMemory);
  add("readAhead", readAhead);
  add("useOwnStream", useOwnStream);
  add("captureGraph", captureGraph);
  add("replayGraph", replayGraph);
  add("releaseGraph", releaseGraph);
  return exports;
}

NODE_API_MODULE(crossblock, initialise)

}  // namespace crossblock
