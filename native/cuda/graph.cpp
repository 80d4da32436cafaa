#include "graph.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include "../environment.h"
#ifdef CROSSBLOCK_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace crossblock {

#ifdef CROSSBLOCK_CUDA

namespace {

using Graph = at::cuda::CUDAGraph;

std::unique_ptr<Graph>& graphOf(const Napi::Value& value) {
  TORCH_CHECK(value.IsExternal(), "expected a recorded graph");
  auto& graph = *value.As<Napi::External<std::unique_ptr<Graph>>>().Data();
  TORCH_CHECK(graph != nullptr, "the graph was released");
  return graph;
}

c10::DeviceIndex deviceIndex(const Napi::Value& value) {
  TORCH_CHECK(value.IsNumber(), "expected the index of a device");
  return static_cast<c10::DeviceIndex>(value.As<Napi::Number>().Int32Value());
}

}  // namespace

Napi::Value useOwnStream(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    const c10::DeviceIndex device = deviceIndex(info[0]);
    if (c10::cuda::getCurrentCUDAStream(device) == c10::cuda::getDefaultCUDAStream(device)) {
      c10::cuda::getDefaultCUDAStream(device).synchronize();
      c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(false, device));
    }
    return Napi::Boolean::New(info.Env(), true);
  });
}

Napi::Value captureGraph(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    const c10::cuda::CUDAGuard guard(deviceIndex(info[0]));
    // What eager steps left in the allocator can't serve a recording, which keeps memory of its own.
    c10::cuda::getCurrentCUDAStream().synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    auto graph = std::make_unique<Graph>();
    graph->capture_begin();
    try {
      info[1].As<Napi::Function>().Call({});
    } catch (...) {
      try {
        graph->capture_end();
      } catch (...) {  // the recording is broken already; the first error tells why
      }
      throw;
    }
    graph->capture_end();
    auto* owned = new std::unique_ptr<Graph>(std::move(graph));
    return Napi::External<std::unique_ptr<Graph>>::New(info.Env(), owned, [](Napi::Env, std::unique_ptr<Graph>* held) {
      // One that nobody released: at the end of the process there may be no CUDA left to release it with.
      held->release();
      delete held;
    });
  });
}

Napi::Value replayGraph(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    graphOf(info[0])->replay();
    return info.Env().Undefined();
  });
}

Napi::Value releaseGraph(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    std::unique_ptr<Graph>& graph = graphOf(info[0]);
    // Its memory may be in use still by what was replayed last.
    c10::cuda::getCurrentCUDAStream().synchronize();
    graph.reset();
    return info.Env().Undefined();
  });
}

#else

Napi::Value useOwnStream(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), false); }

namespace {

Napi::Value withoutCuda(const Napi::CallbackInfo& info) {
  throw Napi::Error::New(info.Env(), "the addon was compiled without the CUDA headers");
}

}  // namespace

Napi::Value captureGraph(const Napi::CallbackInfo& info) { return withoutCuda(info); }
Napi::Value replayGraph(const Napi::CallbackInfo& info) { return withoutCuda(info); }
Napi::Value releaseGraph(const Napi::CallbackInfo& info) { return withoutCuda(info); }

#endif

}  // namespace crossblock
