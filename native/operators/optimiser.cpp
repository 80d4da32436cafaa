// Adam over many tensors, for fp32 on the CPU.
#include <torch/library.h>

#include "checks.h"
#include "rows.h"

namespace crossblock {

namespace {

void adam(at::TensorList parameters, at::TensorList gradients, at::TensorList firsts, at::TensorList seconds,
          at::ArrayRef<double> rates, at::ArrayRef<double> least, at::ArrayRef<double> most, const at::Tensor& paces,
          const c10::optional<at::Tensor>& finite, double beta1, double beta2, double eps) {
  const size_t count = parameters.size();
  const at::Tensor pace = dense(paces, "pace");
  checkAdam(parameters, gradients, firsts, seconds, rates, least, most, pace);
  if (finite.has_value() && finite->item<float>() == 0) return;
  const float factor = pace.data_ptr<float>()[0], correction2 = pace.data_ptr<float>()[1];
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& parameter = parameters[i];
    const at::Tensor gradient = dense(gradients[i], "gradient");
    const Adam job{static_cast<float>(rates[i]) * factor,
                   static_cast<float>(beta1),
                   static_cast<float>(beta2),
                   static_cast<float>(eps),
                   correction2,
                   static_cast<float>(least[i]),
                   static_cast<float>(most[i]),
                   parameter.data_ptr<float>(),
                   gradient.data_ptr<float>(),
                   firsts[i].data_ptr<float>(),
                   seconds[i].data_ptr<float>()};
    overRows(gradient.numel(), 1, [&](int64_t begin, int64_t end) { kernels().adam(job, begin, end); });
  }
}

at::Tensor allFinite(at::TensorList tensors) {
  TORCH_CHECK(!tensors.empty(), "there must be a tensor");
  bool fine = true;
  // A sum is finite when its terms are; sums of gradients don't reach the end of fp32 on their own.
  for (const at::Tensor& tensor : tensors) fine = fine && std::isfinite(tensor.sum().item<double>());
  return at::full({1}, fine ? 1.0 : 0.0, tensors[0].options().dtype(at::kFloat));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(crossblock, library) {
  library.def(
      "adam_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] firsts, Tensor(c!)[] seconds, float[] rates, "
      "float[] least, float[] most, Tensor pace, Tensor? finite, float beta1, float beta2, float eps) -> ()");
  library.def("all_finite(Tensor[] tensors) -> Tensor");
}

TORCH_LIBRARY_IMPL(crossblock, CPU, library) {
  library.impl("adam_", adam);
  library.impl("all_finite", allFinite);
}

}  // namespace crossblock
