#ifdef CROSSBLOCK_CUDA
#include "program.h"

#include <c10/cuda/CUDAStream.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>

#include "cuda_sources.h"

namespace crossblock::cuda {

namespace {

// The few functions of the driver and of NVRTC that are called. Both come with libtorch or the driver, never with a
// toolkit, so they are looked up when they are needed.
struct Api {
  int (*createProgram)(void**, const char*, const char*, int, const char* const*, const char* const*);
  int (*compileProgram)(void*, int, const char* const*);
  int (*destroyProgram)(void**);
  int (*logSize)(void*, size_t*);
  int (*log)(void*, char*);
  int (*cubinSize)(void*, size_t*);
  int (*cubin)(void*, char*);
  int (*deviceAttribute)(int*, int, int);
  int (*loadModule)(void**, const void*);
  int (*findFunction)(void**, void*, const char*);
  int (*launchKernel)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  int (*errorString)(int, const char**);
};

template <typename Function>
void look(void* library, const char* name, Function*& to) {
  to = reinterpret_cast<Function*>(dlsym(library, name));
  TORCH_CHECK(to != nullptr, "the CUDA library has no ", name);
}

const Api& api() {
  static const Api found = [] {
    // Libtorch's own door to both: it lies in its folder and knows where NVRTC is.
    void* library = dlopen("libcaffe2_nvrtc.so", RTLD_LAZY | RTLD_LOCAL);
    TORCH_CHECK(library != nullptr, "libtorch's NVRTC can't be loaded: ", dlerror());
    Api result{};
    look(library, "nvrtcCreateProgram", result.createProgram);
    look(library, "nvrtcCompileProgram", result.compileProgram);
    look(library, "nvrtcDestroyProgram", result.destroyProgram);
    look(library, "nvrtcGetProgramLogSize", result.logSize);
    look(library, "nvrtcGetProgramLog", result.log);
    look(library, "nvrtcGetCUBINSize", result.cubinSize);
    look(library, "nvrtcGetCUBIN", result.cubin);
    look(library, "cuDeviceGetAttribute", result.deviceAttribute);
    look(library, "cuModuleLoadData", result.loadModule);
    look(library, "cuModuleGetFunction", result.findFunction);
    look(library, "cuLaunchKernel", result.launchKernel);
    look(library, "cuGetErrorString", result.errorString);
    return result;
  }();
  return found;
}

void check(int code, const std::string& what) {
  if (code == 0) return;
  const char* text = nullptr;
  api().errorString(code, &text);
  TORCH_CHECK(false, what, ": ", text == nullptr ? "unknown CUDA error" : text);
}

std::string architecture(int device) {
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...
  int major = 0, minor = 0;
  check(api().deviceAttribute(&major, kMajor, device), "the GPU's compute capability");
  check(api().deviceAttribute(&minor, kMinor, device), "the GPU's compute capability");
  return "sm_" + std::to_string(major * 10 + minor);
}

std::string sourceOf(const std::string& file) {
  for (const auto& source : kCudaSources) {
    if (file == source.name) return source.text;
  }
  TORCH_CHECK(false, "the addon holds no ", file);
}

// What `#include "name.cuh"` in a kernel's file finds.
struct Headers {
  std::vector<const char*> names, texts;

  Headers() {
    for (const auto& source : kCudaSources) {
      if (std::strstr(source.name, ".cuh") == nullptr) continue;
      names.push_back(source.name);
      texts.push_back(source.text);
    }
  }
};

std::string compile(const Program& program, const std::string& arch) {
  const std::string source = sourceOf("common.cuh") + sourceOf(program.file);
  const Headers headers;
  // Numbers below the normal range count as zero: it spares every exponential and quotient a case of its own.
  std::vector<std::string> options = {"--gpu-architecture=" + arch, "--std=c++17", "--ftz=true"};
  for (const std::string& macro : program.macros) options.push_back("-D" + macro);
  std::vector<const char*> raw;
  for (const std::string& option : options) raw.push_back(option.c_str());
  void* handle = nullptr;
  TORCH_CHECK(api().createProgram(&handle, source.c_str(), program.file.c_str(),
                                  static_cast<int>(headers.texts.size()), headers.texts.data(),
                                  headers.names.data()) == 0,
              "NVRTC refused ", program.file);
  const int code = api().compileProgram(handle, static_cast<int>(raw.size()), raw.data());
  size_t size = 0;
  std::string result;
  if (code == 0 && api().cubinSize(handle, &size) == 0) {
    result.resize(size);
    api().cubin(handle, result.data());
  } else {
    api().logSize(handle, &size);
    std::string log(size, '\0');
    api().log(handle, log.data());
    api().destroyProgram(&handle);
    TORCH_CHECK(false, "NVRTC did not compile ", program.file, " for ", arch, ": ", log.c_str());
  }
  api().destroyProgram(&handle);
  return result;
}

// Beside the addon, whose name holds the hash of the sources and libtorch's version.
std::string cachePath(const Program& program, const std::string& arch) {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&cachePath), &info) == 0 || info.dli_fname == nullptr) return "";
  std::string path = std::string(info.dli_fname) + "." + program.file;
  for (const std::string& macro : program.macros) path += "-" + macro;
  return path + "-" + arch + ".cubin";
}

std::string load(const Program& program, const std::string& arch) {
  const std::string path = cachePath(program, arch);
  if (std::ifstream file(path, std::ios::binary); file) {
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  std::string cubin = compile(program, arch);
  const std::string temporary = path + "." + std::to_string(getpid());
  std::ofstream file(temporary, std::ios::binary);
  file.write(cubin.data(), static_cast<std::streamsize>(cubin.size()));
  file.close();
  // A cache that can't be written costs a second at the next start, no more.
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) std::remove(temporary.c_str());
  return cubin;
}

struct Loaded {
  void* module = nullptr;
  std::map<std::string, void*> functions;
};

void* functionOf(const Program& program, const std::string& kernel, int device) {
  static std::mutex mutex;
  static std::map<std::string, Loaded> programs;
  std::string key = std::to_string(device) + " " + program.file;
  for (const std::string& macro : program.macros) key += " " + macro;
  const std::lock_guard<std::mutex> lock(mutex);
  Loaded& loaded = programs[key];
  if (loaded.module == nullptr) {
    check(api().loadModule(&loaded.module, load(program, architecture(device)).data()), "loading " + program.file);
  }
  void*& function = loaded.functions[kernel];
  if (function == nullptr) check(api().findFunction(&function, loaded.module, kernel.c_str()), "finding " + kernel);
  return function;
}

}  // namespace

void launchRaw(const Program& program, const std::string& kernel, Size grid, Size block, const at::Tensor& on,
               void** arguments) {
  if (grid.x == 0 || grid.y == 0) return;
  const auto device = on.device();
  const c10::DeviceGuard guard(device);
  void* function = functionOf(program, kernel, device.index());
  const auto stream = c10::cuda::getCurrentCUDAStream(device.index()).stream();
  check(api().launchKernel(function, static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), 1,
                           static_cast<unsigned>(block.x), static_cast<unsigned>(block.y), 1, 0, stream, arguments,
                           nullptr),
        "launching " + kernel);
}

}  // namespace crossblock::cuda
#endif
