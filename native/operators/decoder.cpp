// The passes of a decoder block between its products, for fp32 and bf16 on the CPU.
#include <torch/library.h>

#include "rows.h"

namespace crossblock {

namespace {

// What a forward pass has kept of every row.
void checkKept(const at::Tensor& inverse, int64_t rows) {
  TORCH_CHECK(inverse.numel() == rows && inverse.is_contiguous() && inverse.scalar_type() == at::kFloat,
              "shapes differ");
}

template <typename T>
RmsNorm<T> rmsNormJob(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& inverse) {
  RmsNorm<T> job{};
  job.width = x.size(-1);
  job.x = data<T>(x);
  job.weight = data<T>(weight);
  job.inverse = data<float>(inverse);
  return job;
}

std::tuple<at::Tensor, at::Tensor> rmsNorm(const at::Tensor& input, const at::Tensor& gain, double eps) {
  const at::ScalarType type = kernelType(input.scalar_type(), "x");
  const at::Tensor x = dense(input, "x", type), weight = dense(gain, "weight", type);
  const int64_t width = x.size(-1), rows = x.numel() / width;
  TORCH_CHECK(weight.numel() == width, "the norm's weight must be as wide as x");
  const at::Tensor out = at::empty_like(x), inverse = at::empty({rows}, x.options().dtype(at::kFloat));
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    RmsNorm<T> job = rmsNormJob<T>(x, weight, inverse);
    job.eps = static_cast<float>(eps);
    job.out = data<T>(out);
    overRows(rows, width, [&](int64_t begin, int64_t end) { kernelsOf(sample).rmsNormForward(job, begin, end); });
  });
  return {out, inverse};
}

at::Tensor rmsNormBackward(const at::Tensor& gradients, const at::Tensor& input, const at::Tensor& gain,
                           const at::Tensor& inverse) {
  const at::ScalarType type = kernelType(input.scalar_type(), "x");
  const at::Tensor x = dense(input, "x", type), weight = dense(gain, "weight", type);
  const at::Tensor gradient = dense(gradients, "gradient", type);
  const int64_t width = x.size(-1), rows = x.numel() / width;
  TORCH_CHECK(weight.numel() == width, "shapes differ");
  checkKept(inverse, rows);
  const at::Tensor dx = at::empty_like(x);
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    RmsNorm<T> job = rmsNormJob<T>(x, weight, inverse);
    job.gradient = data<T>(gradient);
    job.dx = data<T>(dx);
    overRows(rows, width, [&](int64_t begin, int64_t end) { kernelsOf(sample).rmsNormBackward(job, begin, end); });
  });
  return dx;
}

template <typename T>
SiluProduct<T> siluProductJob(const at::Tensor& gate, const at::Tensor& up) {
  SiluProduct<T> job{};
  job.gate = data<T>(gate);
  job.up = data<T>(up);
  return job;
}

at::Tensor siluProduct(const at::Tensor& gates, const at::Tensor& ups) {
  const at::ScalarType type = kernelType(gates.scalar_type(), "gate");
  const at::Tensor gate = dense(gates, "gate", type), up = dense(ups, "up", type);
  TORCH_CHECK(gate.sizes() == up.sizes(), "gate and up must have one shape");
  const at::Tensor out = at::empty_like(gate);
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    SiluProduct<T> job = siluProductJob<T>(gate, up);
    job.out = data<T>(out);
    overRows(gate.numel(), 1,
             [&](int64_t begin, int64_t end) { kernelsOf(sample).siluProductForward(job, begin, end); });
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor> siluProductBackward(const at::Tensor& gradients, const at::Tensor& gates,
                                                       const at::Tensor& ups) {
  const at::ScalarType type = kernelType(gates.scalar_type(), "gate");
  const at::Tensor gate = dense(gates, "gate", type), up = dense(ups, "up", type);
  const at::Tensor gradient = dense(gradients, "gradient", type);
  TORCH_CHECK(gate.sizes() == up.sizes() && gate.sizes() == gradient.sizes(), "shapes differ");
  const at::Tensor dGate = at::empty_like(gate), dUp = at::empty_like(up);
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    SiluProduct<T> job = siluProductJob<T>(gate, up);
    job.gradient = data<T>(gradient);
    job.dGate = data<T>(dGate);
    job.dUp = data<T>(dUp);
    overRows(gate.numel(), 1,
             [&](int64_t begin, int64_t end) { kernelsOf(sample).siluProductBackward(job, begin, end); });
  });
  return {dGate, dUp};
}

at::Tensor rotary(const at::Tensor& input, const at::Tensor& cosines, const at::Tensor& sines, double sign) {
  const at::ScalarType type = kernelType(input.scalar_type(), "x");
  TORCH_CHECK(input.dim() == 4, "x must be [batch, heads, time, headDim]");
  const at::Tensor x = input.stride(3) == 1 ? input : input.contiguous();
  const at::Tensor cos = dense(cosines, "cos", type), sin = dense(sines, "sin", type);
  const int64_t pairs = x.size(2) * x.size(3) / 2;
  TORCH_CHECK(x.size(3) % 2 == 0 && cos.numel() == pairs && sin.numel() == pairs,
              "cos and sin must be [time, headDim / 2]");
  const at::Tensor out = at::empty(x.sizes(), x.options());
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    const Rotary<T> job{x.size(1),    x.size(2),    x.size(3),
                        static_cast<float>(sign),   data<T>(x), {x.stride(0), x.stride(1), x.stride(2)},
                        data<T>(cos), data<T>(sin), data<T>(out)};
    overRows(x.numel() / x.size(3), x.size(3),
             [&](int64_t begin, int64_t end) { kernelsOf(sample).rotary(job, begin, end); });
  });
  return out;
}

template <typename T>
TokenError<T> tokenErrorJob(const at::Tensor& target, const at::Tensor& actual, const at::Tensor& inverse) {
  TokenError<T> job{};
  job.width = target.size(-1);
  job.target = data<T>(target);
  job.actual = data<T>(actual);
  job.inverse = data<float>(inverse);
  return job;
}

std::tuple<at::Tensor, at::Tensor> tokenError(const at::Tensor& targets, const at::Tensor& outputs) {
  const at::ScalarType type = kernelType(outputs.scalar_type(), "actual");
  const at::Tensor target = dense(targets, "target", type), actual = dense(outputs, "actual", type);
  TORCH_CHECK(target.sizes() == actual.sizes(), "target and actual must have one shape");
  const int64_t width = target.size(-1), rows = target.numel() / width;
  const at::TensorOptions wide = target.options().dtype(at::kFloat);
  const at::Tensor error = at::empty({rows}, wide), inverse = at::empty({rows}, wide);
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    TokenError<T> job = tokenErrorJob<T>(target, actual, inverse);
    job.error = data<float>(error);
    overRows(rows, width, [&](int64_t begin, int64_t end) { kernelsOf(sample).tokenErrorForward(job, begin, end); });
  });
  return {error.mean(), inverse};
}

at::Tensor tokenErrorBackward(const at::Tensor& gradient, const at::Tensor& targets, const at::Tensor& outputs,
                              const at::Tensor& inverse) {
  const at::ScalarType type = kernelType(outputs.scalar_type(), "actual");
  const at::Tensor target = dense(targets, "target", type), actual = dense(outputs, "actual", type);
  const int64_t width = target.size(-1), rows = target.numel() / width;
  TORCH_CHECK(target.sizes() == actual.sizes(), "shapes differ");
  checkKept(inverse, rows);
  const at::Tensor result = at::empty_like(actual);
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    TokenError<T> job = tokenErrorJob<T>(target, actual, inverse);
    job.factor = 2 * gradient.item<float>() / static_cast<float>(rows);
    job.gradient = data<T>(result);
    overRows(rows, width, [&](int64_t begin, int64_t end) { kernelsOf(sample).tokenErrorBackward(job, begin, end); });
  });
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
