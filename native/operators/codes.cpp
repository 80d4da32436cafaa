// Finding grids and codes without training, for fp32 on the CPU.
#include <torch/library.h>

#include "checks.h"
#include "rows.h"

namespace crossblock {

namespace {

std::tuple<at::Tensor, at::Tensor> rangeSearch(const at::Tensor& weights, const c10::optional<at::Tensor>& importances,
                                               int64_t bits, bool symmetric, int64_t candidates, double smallest,
                                               int64_t neighbours, int64_t refinements) {
  const at::Tensor weight = dense(weights, "weight");
  const at::Tensor importance = importances.has_value() ? dense(*importances, "importance") : at::Tensor();
  checkRangeSearch(weight, importance, bits, candidates, neighbours);
  const at::Tensor scale = at::empty({weight.size(0), weight.size(1), 1}, weight.options());
  const at::Tensor zeroPoint = at::empty_like(scale);
  const RangeSearch job{weight.size(1),
                        weight.size(2),
                        candidates,
                        neighbours,
                        refinements,
                        static_cast<float>(smallest),
                        static_cast<float>((1 << bits) - 1),
                        symmetric,
                        weight.data_ptr<float>(),
                        importance.defined() ? importance.data_ptr<float>() : nullptr,
                        scale.data_ptr<float>(),
                        zeroPoint.data_ptr<float>()};
  overRows(weight.size(0), weight.size(1) * weight.size(2) * candidates * (symmetric ? 2 : 2 * neighbours + 1),
           [&](int64_t begin, int64_t end) { kernels().rangeSearch(job, begin, end); });
  return {scale, zeroPoint};
}

void gptqColumns(const at::Tensor& weight, const at::Tensor& codes, const at::Tensor& errors, const at::Tensor& factors,
                 const at::Tensor& scales, const at::Tensor& zeroPoints, int64_t first, int64_t count, int64_t reach,
                 int64_t bits) {
  const at::Tensor factor = dense(factors, "factor"), scale = dense(scales, "scale");
  const at::Tensor zeroPoint = dense(zeroPoints, "zero_point");
  const int64_t rows = weight.size(0), columns = weight.size(1);
  checkGptqColumns(weight, codes, errors, factor, scale, zeroPoint, first, count, reach);
  const GptqColumns job{columns,
                        first,
                        first + count,
                        reach,
                        static_cast<float>((1 << bits) - 1),
                        factor.data_ptr<float>(),
                        scale.data_ptr<float>(),
                        zeroPoint.data_ptr<float>(),
                        weight.data_ptr<float>(),
                        codes.data_ptr<float>(),
                        errors.data_ptr<float>()};
  overRows(rows, count * (reach - first),
           [&](int64_t begin, int64_t end) { kernels().gptqColumns(job, begin, end); });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(crossblock, library) {
  library.def(
      "range_search(Tensor weight, Tensor? importance, int bits, bool symmetric, int candidates, float smallest, "
      "int neighbours, int refinements) -> (Tensor, Tensor)");
  library.def(
      "gptq_columns_(Tensor(a!) weight, Tensor(b!) codes, Tensor(c!) errors, Tensor factor, Tensor scale, "
      "Tensor zero_point, int first, int count, int reach, int bits) -> ()");
}

TORCH_LIBRARY_IMPL(crossblock, CPU, library) {
  library.impl("range_search", rangeSearch);
  library.impl("gptq_columns_", gptqColumns);
}

}  // namespace crossblock
