// CUDA kernels of our own: compiled by NVRTC at first use, kept beside the addon, launched on the current stream.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

namespace crossblock::cuda {

struct Size {
  int64_t x = 1;
  int64_t y = 1;
};

// A file of kernels/ with the macros that it was compiled with: {"RANK=5"}.
struct Program {
  std::string file;
  std::vector<std::string> macros;
};

// Runs `kernel` on the device of `on`; `arguments` are addresses of values of exactly the parameters' types.
void launchRaw(const Program& program, const std::string& kernel, Size grid, Size block, const at::Tensor& on,
               void** arguments);

template <typename... Arguments>
void launch(const Program& program, const std::string& kernel, Size grid, Size block, const at::Tensor& on,
            Arguments... arguments) {
  void* addresses[] = {static_cast<void*>(&arguments)...};
  launchRaw(program, kernel, grid, block, on, addresses);
}

}  // namespace crossblock::cuda
