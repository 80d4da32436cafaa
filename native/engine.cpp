#include "engine.h"

#include "host_allocator.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <torch/cuda.h>
#include <torch/utils.h>
#include <torch/version.h>

#if __has_include(<c10/core/CachingDeviceAllocator.h>)
#include <c10/core/CachingDeviceAllocator.h>
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#define CROSSBLOCK_HAS_DEVICE_STATS 1
#endif
#endif

namespace crossblock {
namespace {

// The CUDA driver and runtime are already loaded by libtorch; looking their functions up spares
// users the CUDA headers.
template <typename Function>
Function* cudaFunction(const char* library, const char* name) {
  void* handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
  void* symbol = dlsym(handle == nullptr ? RTLD_DEFAULT : handle, name);
  return reinterpret_cast<Function*>(symbol);
}

std::string deviceName(int index) {
  char name[256] = "CUDA device";
  if (auto* get = cudaFunction<int(char*, int, int)>("libcuda.so.1", "cuDeviceGetName")) {
    get(name, sizeof name, index);
  }
  return name;
}

}  // namespace

Napi::Value engineFacts(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    Napi::Env env = info.Env();
    Napi::Object facts = Napi::Object::New(env);
    facts.Set("torchVersion", TORCH_VERSION);
    facts.Set("config", at::show_config());
    facts.Set("threads", at::get_num_threads());
    const int count = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
    Napi::Array devices = Napi::Array::New(env, count);
    for (int i = 0; i < count; ++i) {
      devices.Set(static_cast<uint32_t>(i), Napi::String::New(env, deviceName(i)));
    }
    facts.Set("cudaDevices", devices);
    return facts;
  });
}

Napi::Value setThreads(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    const int threads = info[0].IsNumber() ? info[0].As<Napi::Number>().Int32Value() : 0;
    TORCH_CHECK(threads >= 1, "threads must be a positive number");
    at::set_num_threads(threads);
    return info.Env().Undefined();
  });
}

Napi::Value manualSeed(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    torch::manual_seed(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
    return info.Env().Undefined();
  });
}

Napi::Value newGenerator(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    const c10::Device device(info[0].As<Napi::String>().Utf8Value());
    at::Generator generator = at::globalContext().defaultGenerator(device).clone();
    generator.set_current_seed(static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value()));
    return Napi::Number::New(info.Env(), environment.generators.insert(generator));
  });
}

Napi::Value releaseGenerator(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    const bool live = info[0].IsNumber() && environment.generators.erase(info[0].As<Napi::Number>().DoubleValue());
    return Napi::Boolean::New(info.Env(), live);
  });
}

Napi::Value synchronize(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    if (torch::cuda::is_available()) {
      torch::cuda::synchronize(info[0].IsNumber() ? info[0].As<Napi::Number>().Int64Value() : -1);
    }
    return info.Env().Undefined();
  });
}

Napi::Value deviceMemory(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    Napi::Env env = info.Env();
    const int index = info[0].As<Napi::Number>().Int32Value();
    TORCH_CHECK(torch::cuda::is_available() && index >= 0 && index < static_cast<int>(torch::cuda::device_count()),
                "there is no CUDA device ", index);
    Napi::Object memory = Napi::Object::New(env);
    size_t free = 0;
    size_t total = 0;
    if (auto* info = cudaFunction<int(size_t*, size_t*)>("libcudart.so", "cudaMemGetInfo")) {
      info(&free, &total);
    }
    memory.Set("free", Napi::Number::New(env, static_cast<double>(free)));
    memory.Set("total", Napi::Number::New(env, static_cast<double>(total)));
    memory.Set("peak", env.Null());
#ifdef CROSSBLOCK_HAS_DEVICE_STATS
    auto* allocator = at::getDeviceAllocator(c10::kCUDA);
    if (allocator != nullptr && allocator->initialized()) {
      const auto stats = allocator->getDeviceStats(static_cast<c10::DeviceIndex>(index));
      memory.Set("peak", Napi::Number::New(env, static_cast<double>(stats.allocated_bytes[0].peak)));
    }
#endif
    return memory;
  });
}

Napi::Value releaseCachedMemory(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    const double released = cachedHostBytes();
    releaseCachedHostMemory();
    return Napi::Number::New(info.Env(), released);
  });
}

}  // namespace crossblock
