// Finding grids and codes without training, on CUDA.
#ifdef CROSSBLOCK_CUDA
#include <torch/library.h>

#include "../operators/checks.h"
#include "arguments.h"

namespace crossblock::cuda {

namespace {

const Program kCodes{"codes.cu", {}};
// Columns that the lanes of a warp hold, as in codes.cu.
constexpr int64_t kHeld = 32 * 8;

std::tuple<at::Tensor, at::Tensor> rangeSearch(const at::Tensor& weights, const c10::optional<at::Tensor>& importances,
                                               int64_t bits, bool symmetric, int64_t candidates, double smallest,
                                               int64_t neighbours, int64_t refinements) {
  const at::Tensor weight = denseFloat(weights, "weight");
  const at::Tensor importance = importances.has_value() ? denseFloat(*importances, "importance") : at::Tensor();
  checkRangeSearch(weight, importance, bits, candidates, neighbours);
  const int64_t rows = weight.size(0), groups = weight.size(1), groupSize = weight.size(2);
  const at::Tensor scale = at::empty({rows, groups, 1}, weight.options()), zeroPoint = at::empty_like(scale);
  const Size block = groupBlock(groupSize, groupSize);
  launch(kCodes, "range_search", {upTo(rows * groups, block.y)}, block, weight, floats(weight),
         importance.defined() ? floats(importance) : nullptr, writable(scale), writable(zeroPoint),
         static_cast<long long>(rows * groups), static_cast<int>(groups), static_cast<int>(groupSize),
         static_cast<int>(candidates), static_cast<int>(neighbours), static_cast<int>(refinements),
         static_cast<float>(smallest), static_cast<float>((1 << bits) - 1), static_cast<int>(symmetric));
  return {scale, zeroPoint};
}

void gptqColumns(const at::Tensor& weight, const at::Tensor& codes, const at::Tensor& errors, const at::Tensor& factors,
                 const at::Tensor& scales, const at::Tensor& zeroPoints, int64_t first, int64_t count, int64_t reach,
                 int64_t bits) {
  const at::Tensor factor = denseFloat(factors, "factor"), scale = denseFloat(scales, "scale");
  const at::Tensor zeroPoint = denseFloat(zeroPoints, "zero_point");
  const int64_t rows = weight.size(0), columns = weight.size(1);
  checkGptqColumns(weight, codes, errors, factor, scale, zeroPoint, first, count, reach);
  TORCH_CHECK(reach - first <= kHeld, "at most ", kHeld, " columns at once");
  launch(kCodes, "gptq_columns", {upTo(rows, 4)}, {128}, weight, writable(weight), writable(codes), writable(errors),
         floats(factor), floats(scale), floats(zeroPoint), static_cast<int>(rows), static_cast<int>(columns),
         static_cast<int>(first), static_cast<int>(first + count), static_cast<int>(reach),
         static_cast<float>((1 << bits) - 1));
}

}  // namespace

TORCH_LIBRARY_IMPL(crossblock, CUDA, library) {
  library.impl("range_search", rangeSearch);
  library.impl("gptq_columns_", gptqColumns);
}

}  // namespace crossblock::cuda
#endif
