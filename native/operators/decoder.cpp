// The passes of a decoder block between its products, for fp32 on the CPU.
#include <torch/library.h>

#include "rows.h"

namespace crossblock {

namespace {

std::tuple<at::Tensor, at::Tensor> rmsNorm(const at::Tensor& input, const at::Tensor& gain, double eps) {
  const at::Tensor x = dense(input, "x"), weight = dense(gain, "weight");
  const int64_t width = x.size(-1), rows = x.numel() / width;
  TORCH_CHECK(weight.numel() == width, "the norm's weight must be as wide as x");
  const at::Tensor out = at::empty_like(x), inverse = at::empty({rows}, x.options());
  RmsNorm job{};
  job.width = width;
  job.eps = static_cast<float>(eps);
  job.x = x.data_ptr<float>();
  job.weight = weight.data_ptr<float>();
  job.out = out.data_ptr<float>();
  job.inverse = inverse.data_ptr<float>();
  overRows(rows, width, [&](int64_t begin, int64_t end) { kernels().rmsNormForward(job, begin, end); });
  return {out, inverse};
}

at::Tensor rmsNormBackward(const at::Tensor& gradients, const at::Tensor& input, const at::Tensor& gain,
                           const at::Tensor& inverse) {
  const at::Tensor x = dense(input, "x"), weight = dense(gain, "weight"), gradient = dense(gradients, "gradient");
  const int64_t width = x.size(-1), rows = x.numel() / width;
  TORCH_CHECK(weight.numel() == width && inverse.numel() == rows && inverse.is_contiguous(), "shapes differ");
  const at::Tensor dx = at::empty_like(x);
  RmsNorm job{};
  job.width = width;
  job.x = x.data_ptr<float>();
  job.weight = weight.data_ptr<float>();
  job.inverse = inverse.data_ptr<float>();
  job.gradient = gradient.data_ptr<float>();
  job.dx = dx.data_ptr<float>();
  overRows(rows, width, [&](int64_t begin, int64_t end) { kernels().rmsNormBackward(job, begin, end); });
  return dx;
}

at::Tensor siluProduct(const at::Tensor& gates, const at::Tensor& ups) {
  const at::Tensor gate = dense(gates, "gate"), up = dense(ups, "up");
  TORCH_CHECK(gate.sizes() == up.sizes(), "gate and up must have one shape");
  const at::Tensor out = at::empty_like(gate);
  SiluProduct job{};
  job.gate = gate.data_ptr<float>();
  job.up = up.data_ptr<float>();
  job.out = out.data_ptr<float>();
  overRows(gate.numel(), 1, [&](int64_t begin, int64_t end) { kernels().siluProductForward(job, begin, end); });
  return out;
}

std::tuple<at::Tensor, at::Tensor> siluProductBackward(const at::Tensor& gradients, const at::Tensor& gates,
                                                       const at::Tensor& ups) {
  const at::Tensor gate = dense(gates, "gate"), up = dense(ups, "up"), gradient = dense(gradients, "gradient");
  TORCH_CHECK(gate.sizes() == up.sizes() && gate.sizes() == gradient.sizes(), "shapes differ");
  const at::Tensor dGate = at::empty_like(gate), dUp = at::empty_like(up);
  SiluProduct job{};
  job.gate = gate.data_ptr<float>();
  job.up = up.data_ptr<float>();
  job.gradient = gradient.data_ptr<float>();
  job.dGate = dGate.data_ptr<float>();
  job.dUp = dUp.data_ptr<float>();
  overRows(gate.numel(), 1, [&](int64_t begin, int64_t end) { kernels().siluProductBackward(job, begin, end); });
  return {dGate, dUp};
}

at::Tensor rotary(const at::Tensor& input, const at::Tensor& cosines, const at::Tensor& sines, double sign) {
  TORCH_CHECK(input.dim() == 4 && input.scalar_type() == at::kFloat, "x must be float32 [batch, heads, time, headDim]");
  const at::Tensor x = input.stride(3) == 1 ? input : input.contiguous();
  const at::Tensor cos = dense(cosines, "cos"), sin = dense(sines, "sin");
  const int64_t pairs = x.size(2) * x.size(3) / 2;
  TORCH_CHECK(x.size(3) % 2 == 0 && cos.numel() == pairs && sin.numel() == pairs,
              "cos and sin must be [time, headDim / 2]");
  const at::Tensor out = at::empty(x.sizes(), x.options());
  const Rotary job{x.size(1),           x.size(2), x.size(3), static_cast<float>(sign), x.data_ptr<float>(),
                   {x.stride(0), x.stride(1), x.stride(2)}, cos.data_ptr<float>(), sin.data_ptr<float>(),
                   out.data_ptr<float>()};
  overRows(x.numel() / x.size(3), x.size(3), [&](int64_t begin, int64_t end) { kernels().rotary(job, begin, end); });
  return out;
}

std::tuple<at::Tensor, at::Tensor> tokenError(const at::Tensor& targets, const at::Tensor& outputs) {
  const at::Tensor target = dense(targets, "target"), actual = dense(outputs, "actual");
  TORCH_CHECK(target.sizes() == actual.sizes(), "target and actual must have one shape");
  const int64_t width = target.size(-1), rows = target.numel() / width;
  const at::Tensor error = at::empty({rows}, target.options()), inverse = at::empty({rows}, target.options());
  TokenError job{};
  job.width = width;
  job.target = target.data_ptr<float>();
  job.actual = actual.data_ptr<float>();
  job.error = error.data_ptr<float>();
  job.inverse = inverse.data_ptr<float>();
  overRows(rows, width, [&](int64_t begin, int64_t end) { kernels().tokenErrorForward(job, begin, end); });
  return {error.mean(), inverse};
}

at::Tensor tokenErrorBackward(const at::Tensor& gradient, const at::Tensor& targets, const at::Tensor& outputs,
                              const at::Tensor& inverse) {
  const at::Tensor target = dense(targets, "target"), actual = dense(outputs, "actual");
  const int64_t width = target.size(-1), rows = target.numel() / width;
  TORCH_CHECK(target.sizes() == actual.sizes() && inverse.numel() == rows && inverse.is_contiguous(), "shapes differ");
  const at::Tensor result = at::empty_like(actual);
  TokenError job{};
  job.width = width;
  job.target = target.data_ptr<float>();
  job.actual = actual.data_ptr<float>();
  job.inverse = inverse.data_ptr<float>();
  job.factor = 2 * gradient.item<float>() / static_cast<float>(rows);
  job.gradient = result.data_ptr<float>();
  overRows(rows, width, [&](int64_t begin, int64_t end) { kernels().tokenErrorBackward(job, begin, end); });
  return result;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(crossblock, library) {
  library.def("rms_norm(Tensor x, Tensor weight, float eps) -> (Tensor, Tensor)");
  library.def("rms_norm_backward(Tensor gradient, Tensor x, Tensor weight, Tensor inverse) -> Tensor");
  library.def("silu_product(Tensor gate, Tensor up) -> Tensor");
  library.def("silu_product_backward(Tensor gradient, Tensor gate, Tensor up) -> (Tensor, Tensor)");
  library.def("rotary(Tensor x, Tensor cos, Tensor sin, float sign) -> Tensor");
  library.def("token_error(Tensor target, Tensor actual) -> (Tensor, Tensor)");
  library.def("token_error_backward(Tensor gradient, Tensor target, Tensor actual, Tensor inverse) -> Tensor");
}

TORCH_LIBRARY_IMPL(crossblock, CPU, library) {
  library.impl("rms_norm", rmsNorm);
  library.impl("rms_norm_backward", rmsNormBackward);
  library.impl("silu_product", siluProduct);
  library.impl("silu_product_backward", siluProductBackward);
  library.impl("rotary", rotary);
  library.impl("token_error", tokenError);
  library.impl("token_error_backward", tokenErrorBackward);
}

}  // namespace crossblock
