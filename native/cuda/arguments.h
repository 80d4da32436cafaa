// Tensors as the CUDA kernels take them.
#pragma once

#include <ATen/ATen.h>

#include <initializer_list>

#include "program.h"

namespace crossblock::cuda {

inline at::Tensor denseOf(const at::Tensor& x, const char* name, std::initializer_list<at::ScalarType> types) {
  for (const at::ScalarType type : types) {
    if (x.scalar_type() == type) return x.contiguous();
  }
  TORCH_CHECK(false, name, " must be float32 or bfloat16 as the operator takes it, not ", x.scalar_type());
}

inline at::Tensor denseFloat(const at::Tensor& x, const char* name) { return denseOf(x, name, {at::kFloat}); }

inline at::Tensor dense16Or32(const at::Tensor& x, const char* name) {
  return denseOf(x, name, {at::kFloat, at::kBFloat16});
}

inline const char* suffixOf(const at::Tensor& x) { return x.scalar_type() == at::kFloat ? "float" : "bfloat16"; }

inline const float* floats(const at::Tensor& x) { return x.data_ptr<float>(); }
inline float* writable(const at::Tensor& x) { return x.data_ptr<float>(); }

// `size` neighbours that can be read at once from the start of every row of `width`.
inline int64_t packOf(int64_t width, int64_t size) { return width % size == 0 ? size : 1; }

// A 16-byte aligned start; views into the middle of a tensor may have none.
inline bool aligned(const at::Tensor& x) { return reinterpret_cast<uintptr_t>(x.data_ptr()) % 16 == 0; }

inline at::Tensor alignedDense(at::Tensor x) { return aligned(x) ? x : x.clone(); }

inline int64_t upTo(int64_t size, int64_t unit) { return (size + unit - 1) / unit; }

// Threads of a block, and blocks at most, for work that doesn't care.
constexpr int64_t kThreads = 256;
constexpr int64_t kMostBlocks = 4096;

// Threads for a row of `items`: whole warps up to 256, a power of two.
inline int64_t rowThreads(int64_t items) {
  int64_t threads = 32;
  while (threads < 256 && threads < items) threads *= 2;
  return threads;
}

// Threads of a group of `groupSize` weights that has `items` to hand out, and groups to a block: a warp takes the shorter
// groups, a part of one the shortest.
inline Size groupBlock(int64_t groupSize, int64_t items) {
  constexpr int64_t kLongestWarpGroup = 1024;
  const int64_t most = groupSize <= kLongestWarpGroup ? 32 : kThreads;
  int64_t threads = 1;
  while (threads < most && threads < items) threads *= 2;
  return {threads, threads > 32 ? 1 : kThreads / threads};
}

}  // namespace crossblock::cuda
