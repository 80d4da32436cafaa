// Dense tensors as the kernels take them, and rows shared out among libtorch's threads.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "../kernels/kernels.h"

namespace crossblock {

inline at::Tensor dense(const at::Tensor& x, const char* name, at::ScalarType type = at::kFloat) {
  TORCH_CHECK(x.scalar_type() == type, name, " must be ", type, ", not ", x.scalar_type());
  return x.contiguous();
}

// The type of what an operator reads and gives: one that kernels are there for.
inline at::ScalarType kernelType(at::ScalarType type, const char* name) {
  TORCH_CHECK(type == at::kFloat || type == at::kBFloat16, name, " must be float32 or bfloat16, not ", type);
  return type;
}

template <typename T>
T* data(const at::Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}

inline const TypedKernels<float>& kernelsOf(float) { return kernels().float32; }
inline const TypedKernels<BFloat16>& kernelsOf(BFloat16) { return kernels().bfloat16; }

// `body(T{})` with the T of `type`.
template <typename Body>
void byType(at::ScalarType type, const Body& body) {
  if (type == at::kFloat) return body(float{});
  body(BFloat16{});
}

// Rows are handed out so that a thread has this many elements at least.
constexpr int64_t kGrain = 16384;

template <typename Body>
void overRows(int64_t rows, int64_t width, const Body& body) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)), body);
}

}  // namespace crossblock
