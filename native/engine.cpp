#include "engine.h"

#include "memory/host_allocator.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <torch/cuda.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <algorithm>

#ifdef CROSSBLOCK_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#endif

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

// 90 for 9.0; 0 where the driver does not tell.
int computeCapability(int index) {
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...
  int major = 0, minor = 0;
  if (auto* get = cudaFunction<int(int*, int, int)>("libcuda.so.1", "cuDeviceGetAttribute")) {
    get(&major, kMajor, index);
    get(&minor, kMinor, index);
  }
  return major * 10 + minor;
}

int deviceIndexOf(const Napi::Value& value) {
  const int index = value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
  TORCH_CHECK(torch::cuda::is_available() && index >= 0 && index < static_cast<int>(torch::cuda::device_count()),
              "there is no CUDA device ", index);
  return index;
}

struct DeviceBytes {
  size_t free = 0;
  size_t total = 0;
};

// Zeros where the runtime does not tell. It tells of the current device alone, which this makes `index` meanwhile.
DeviceBytes deviceBytes(int index) {
  DeviceBytes bytes;
  auto* get = cudaFunction<int(size_t*, size_t*)>("libcudart.so", "cudaMemGetInfo");
  auto* current = cudaFunction<int(int*)>("libcudart.so", "cudaGetDevice");
  auto* select = cudaFunction<int(int)>("libcudart.so", "cudaSetDevice");
  int before = 0;
  if (get == nullptr || current == nullptr || select == nullptr || current(&before) != 0 || select(index) != 0) {
    return bytes;
  }
  get(&bytes.free, &bytes.total);
  select(before);
  return bytes;
}

bool limitDeviceMemory(int index, double bytes) {
#ifdef CROSSBLOCK_CUDA
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(index));
  // The allocator knows a device from its first tensor on. A limit is lifted where it has just been reached: no room for one.
  if (bytes > 0) {
    at::empty({1}, at::TensorOptions().device(c10::kCUDA, static_cast<c10::DeviceIndex>(index)));
  }
  const size_t total = deviceBytes(index).total;
  if (total == 0) {
    return false;
  }
  // Blocks that are kept already are handed out without being counted.
  c10::cuda::CUDACachingAllocator::emptyCache();
  const double fraction = bytes == 0 ? 1 : std::min(1.0, bytes / static_cast<double>(total));
  c10::cuda::CUDACachingAllocator::setMemoryFraction(fraction, static_cast<c10::DeviceIndex>(index));
  return true;
#else
  return false;
#endif
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
    Napi::Array devices = Napi::Array::New(env, count), capabilities = Napi::Array::New(env, count);
    for (int i = 0; i < count; ++i) {
      devices.Set(static_cast<uint32_t>(i), Napi::String::New(env, deviceName(i)));
      capabilities.Set(static_cast<uint32_t>(i), computeCapability(i));
    }
    facts.Set("cudaDevices", devices);
    facts.Set("computeCapabilities", capabilities);
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
    const int index = deviceIndexOf(info[0]);
    Napi::Object memory = Napi::Object::New(env);
    const DeviceBytes bytes = deviceBytes(index);
    memory.Set("free", Napi::Number::New(env, static_cast<double>(bytes.free)));
    memory.Set("total", Napi::Number::New(env, static_cast<double>(bytes.total)));
    memory.Set("used", env.Null());
    memory.Set("peak", env.Null());
#ifdef CROSSBLOCK_HAS_DEVICE_STATS
    auto* allocator = at::getDeviceAllocator(c10::kCUDA);
    if (allocator != nullptr && allocator->initialized()) {
      const auto stats = allocator->getDeviceStats(static_cast<c10::DeviceIndex>(index));
      memory.Set("used", Napi::Number::New(env, static_cast<double>(stats.allocated_bytes[0].current)));
      memory.Set("peak", Napi::Number::New(env, static_cast<double>(stats.allocated_bytes[0].peak)));
    }
#endif
    return memory;
  });
}

Napi::Value resetPeakMemory(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    [[maybe_unused]] const int index = deviceIndexOf(info[0]);
#ifdef CROSSBLOCK_HAS_DEVICE_STATS
    auto* allocator = at::getDeviceAllocator(c10::kCUDA);
    if (allocator != nullptr && allocator->initialized()) {
      allocator->resetPeakStats(static_cast<c10::DeviceIndex>(index));
    }
#endif
    return info.Env().Undefined();
  });
}

Napi::Value limitMemory(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    const double bytes = info[1].IsNumber() ? info[1].As<Napi::Number>().DoubleValue() : -1;
    TORCH_CHECK(bytes >= 0 && bytes < 1e18, "expected a number of bytes");
    if (!info[0].IsNull()) {
      return Napi::Boolean::New(info.Env(), limitDeviceMemory(deviceIndexOf(info[0]), bytes));
    }
    limitHostMemory(static_cast<size_t>(bytes));
    return Napi::Boolean::New(info.Env(), true);
  });
}

Napi::Value setDeterministic(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment&) -> Napi::Value {
    TORCH_CHECK(info[0].IsBoolean(), "expected true or false");
    at::Context& context = at::globalContext();
    // An error where there is no such operator, not a warning: with warnings attention's gradients keep their own order.
    context.setDeterministicAlgorithms(info[0].As<Napi::Boolean>().Value(), /*warn_only=*/false);
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 2)
    // Nothing here reads what was not written, so new memory need not be filled.
    context.setDeterministicFillUninitializedMemory(false);
#endif
    return info.Env().Undefined();
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
