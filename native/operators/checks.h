// What operators ask of their arguments on every device.
#pragma once

#include <ATen/ATen.h>

namespace crossblock {

// A weight and its grid.
inline void checkGrid(const at::Tensor& weight, const at::Tensor& scale, const at::Tensor& zeroPoint, int64_t bits) {
  TORCH_CHECK(weight.dim() == 3, "the weight must be [out, groups, groupSize]");
  TORCH_CHECK(scale.numel() == weight.size(0) * weight.size(1) && zeroPoint.numel() == scale.numel(),
              "scale and zero_point must be [out, groups, 1]");
  TORCH_CHECK(bits >= 1 && bits <= 16, "bits must lie between 1 and 16");
}

inline void checkRangeSearch(const at::Tensor& weight, const at::Tensor& importance, int64_t bits, int64_t candidates,
                             int64_t neighbours) {
  TORCH_CHECK(weight.dim() == 3, "the weight must be [out, groups, groupSize]");
  TORCH_CHECK(bits >= 1 && bits <= 16 && candidates >= 1, "bits must lie between 1 and 16, candidates above 0");
  TORCH_CHECK(neighbours >= 0, "neighbours must not be negative");
  TORCH_CHECK(!importance.defined() || importance.numel() == weight.size(1) * weight.size(2), "importance must be [in]");
}

inline void checkGptqColumns(const at::Tensor& weight, const at::Tensor& codes, const at::Tensor& errors,
                             const at::Tensor& factor, const at::Tensor& scale, const at::Tensor& zeroPoint,
                             int64_t first, int64_t count, int64_t reach) {
  const int64_t rows = weight.size(0), columns = weight.size(1);
  for (const at::Tensor* tensor : {&weight, &codes, &errors}) {
    TORCH_CHECK(tensor->is_contiguous() && tensor->scalar_type() == at::kFloat && tensor->sizes() == weight.sizes(),
                "weight, codes and errors must be dense float32 of one shape");
  }
  TORCH_CHECK(factor.numel() == columns * columns && scale.numel() == rows && zeroPoint.numel() == rows,
              "factor must be [in, in], scale and zero_point [out]");
  TORCH_CHECK(first >= 0 && count >= 0 && first + count <= reach && reach <= columns, "columns out of bounds");
}

// Adam's lists: a gradient, two moments, a rate and bounds to every parameter.
inline void checkAdam(at::TensorList parameters, at::TensorList gradients, at::TensorList firsts,
                      at::TensorList seconds, at::ArrayRef<double> rates, at::ArrayRef<double> least,
                      at::ArrayRef<double> most, const at::Tensor& pace) {
  const size_t count = parameters.size();
  TORCH_CHECK(gradients.size() == count && firsts.size() == count && seconds.size() == count && rates.size() == count &&
                  least.size() == count && most.size() == count,
              "every parameter needs a gradient, two moments, a rate and bounds");
  TORCH_CHECK(pace.numel() == 2, "pace must be [2]");
  for (size_t i = 0; i < count; ++i) {
    for (const at::Tensor* tensor : {&parameters[i], &firsts[i], &seconds[i]}) {
      TORCH_CHECK(tensor->is_contiguous() && tensor->scalar_type() == at::kFloat &&
                      tensor->numel() == gradients[i].numel(),
                  "parameters and moments must be dense float32 of the gradient's shape");
    }
  }
}

}  // namespace crossblock
