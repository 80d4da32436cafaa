// Dense fp32 tensors as the kernels take them, and rows shared out among libtorch's threads.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "../kernels/kernels.h"

namespace crossblock {

inline at::Tensor dense(const at::Tensor& x, const char* name) {
  TORCH_CHECK(x.scalar_type() == at::kFloat, name, " must be float32, not ", x.scalar_type());
  return x.contiguous();
}

// Rows are handed out so that a thread has this many elements at least.
constexpr int64_t kGrain = 16384;

template <typename Body>
void overRows(int64_t rows, int64_t width, const Body& body) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)), body);
}

}  // namespace crossblock
