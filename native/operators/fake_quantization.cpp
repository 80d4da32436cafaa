// Fake quantization of weights and inputs on the CPU: weights in fp32, what the products take in fp32 or bf16.
#include <torch/library.h>

#include "checks.h"
#include "rows.h"

namespace crossblock {

namespace {

// What every rounding of a weight [rows, groups, groupSize] shares; keeps the dense tensors alive.
struct GridTensors {
  at::Tensor weight, scale, zeroPoint;
  int64_t rows, groups, groupSize, bits;

  GridTensors(const at::Tensor& w, const at::Tensor& s, const at::Tensor& z, int64_t bits)
      : weight(dense(w, "weight")),
        scale(dense(s, "scale")),
        zeroPoint(dense(z, "zero_point")),
        rows(w.size(0)),
        bits(bits) {
    checkGrid(w, s, z, bits);
    groups = w.size(1);
    groupSize = w.size(2);
  }

  int64_t columns() const { return groups * groupSize; }

  at::Tensor empty(at::ScalarType type) const { return at::empty(weight.sizes(), weight.options().dtype(type)); }

  template <typename T>
  WeightGrid<T> grid() const {
    WeightGrid<T> result{};
    result.groups = groups;
    result.groupSize = groupSize;
    result.top = static_cast<float>((1 << bits) - 1);
    result.weight = data<float>(weight);
    result.scale = data<float>(scale);
    result.zeroPoint = data<float>(zeroPoint);
    return result;
  }

  template <typename T>
  WeightGrid<T> gridInto(const at::Tensor& out) const {
    WeightGrid<T> result = grid<T>();
    result.out = data<T>(out);
    return result;
  }

  template <typename T>
  WeightGrid<T> gridFrom(const at::Tensor& gradient, const at::Tensor& dScale, const at::Tensor& dZeroPoint) const {
    WeightGrid<T> result = grid<T>();
    result.gradient = data<T>(gradient);
    result.dScale = data<float>(dScale);
    result.dZeroPoint = data<float>(dZeroPoint);
    return result;
  }
};

at::Tensor codeUnitRound(const at::Tensor& w, const at::Tensor& v, const at::Tensor& s, const at::Tensor& z,
                         int64_t bits, at::ScalarType dtype) {
  kernelType(dtype, "the result");
  const GridTensors tensors(w, s, z, bits);
  const at::Tensor offset = dense(v, "offset"), out = tensors.empty(dtype);
  TORCH_CHECK(offset.numel() == out.numel(), "the offset must have the weight's shape");
  byType(dtype, [&](auto sample) {
    using T = decltype(sample);
    const CodeUnitRound<T> job{tensors.gridInto<T>(out), data<float>(offset), nullptr};
    overRows(tensors.rows, tensors.columns(),
             [&](int64_t begin, int64_t end) { kernelsOf(sample).codeUnitForward(job, begin, end); });
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> codeUnitRoundBackward(const at::Tensor& gradients, const at::Tensor& w,
                                                                     const at::Tensor& v, const at::Tensor& s,
                                                                     const at::Tensor& z, int64_t bits) {
  const at::ScalarType type = kernelType(gradients.scalar_type(), "gradient");
  const GridTensors tensors(w, s, z, bits);
  const at::Tensor offset = dense(v, "offset"), gradient = dense(gradients, "gradient", type);
  TORCH_CHECK(offset.numel() == w.numel() && gradient.numel() == w.numel(), "shapes differ");
  const at::Tensor dOffset = at::empty_like(tensors.weight);
  const at::Tensor dScale = at::empty_like(tensors.scale), dZeroPoint = at::empty_like(tensors.scale);
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    const CodeUnitRound<T> job{tensors.gridFrom<T>(gradient, dScale, dZeroPoint), data<float>(offset),
                               data<float>(dOffset)};
    overRows(tensors.rows, tensors.columns(),
             [&](int64_t begin, int64_t end) { kernelsOf(sample).codeUnitBackward(job, begin, end); });
  });
  return {dOffset, dScale, dZeroPoint};
}

// Rows whose share of the gradient of A2 is summed on its own: the sum does not depend on the number of threads.
constexpr int64_t kRowsPerSum = 64;

struct SoftTensors : GridTensors {
  at::Tensor start, offset, left;
  int64_t rank;

  SoftTensors(const at::Tensor& w, const at::Tensor& s0, const at::Tensor& d, const c10::optional<at::Tensor>& a1,
              const at::Tensor& s, const at::Tensor& z, int64_t bits)
      : GridTensors(w, s, z, bits), start(dense(s0, "start_scale")), offset(dense(d, "offset")) {
    const bool low = a1.has_value();
    left = low ? dense(*a1, "left") : at::Tensor();
    rank = low ? left.size(-1) : 0;
    TORCH_CHECK(start.numel() == scale.numel(), "start_scale must have the scale's shape");
    TORCH_CHECK(!low || left.numel() == rows * rank, "left must be [out, rank]");
    TORCH_CHECK(offset.numel() == (low ? rank : rows) * columns(), "offset must be [out, in], or [rank, in] beside left");
  }

  template <typename T>
  SoftRound<T> job(const WeightGrid<T>& grid) const {
    SoftRound<T> result{};
    result.grid = grid;
    result.startScale = data<float>(start);
    result.rank = rank;
    result.offset = data<float>(offset);
    result.left = left.defined() ? data<float>(left) : nullptr;
    return result;
  }
};

at::Tensor softRound(const at::Tensor& w, const at::Tensor& s0, const at::Tensor& d,
                     const c10::optional<at::Tensor>& a1, const at::Tensor& s, const at::Tensor& z, int64_t bits,
                     at::ScalarType dtype) {
  kernelType(dtype, "the result");
  const SoftTensors tensors(w, s0, d, a1, s, z, bits);
  const at::Tensor out = tensors.empty(dtype);
  byType(dtype, [&](auto sample) {
    using T = decltype(sample);
    const SoftRound<T> job = tensors.job(tensors.gridInto<T>(out));
    overRows(tensors.rows, tensors.columns(), [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(softRoundScratch(tensors.columns()));
      kernelsOf(sample).softRoundForward(job, begin, end, scratch.data());
    });
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> softRoundBackward(
    const at::Tensor& gradients, const at::Tensor& w, const at::Tensor& s0, const at::Tensor& d,
    const c10::optional<at::Tensor>& a1, const at::Tensor& s, const at::Tensor& z, int64_t bits,
    const at::Tensor& penalties) {
  const at::ScalarType type = kernelType(gradients.scalar_type(), "gradient");
  const SoftTensors tensors(w, s0, d, a1, s, z, bits);
  const at::Tensor gradient = dense(gradients, "gradient", type);
  const at::Tensor roundingPenalty = dense(penalties, "rounding_penalty");
  TORCH_CHECK(gradient.numel() == w.numel() && roundingPenalty.numel() == 2, "shapes differ");
  const bool low = tensors.rank > 0;
  const int64_t rows = tensors.rows, columns = tensors.columns();
  const int64_t sums = (rows + kRowsPerSum - 1) / kRowsPerSum;
  const at::TensorOptions wide = tensors.weight.options();
  const at::Tensor dScale = at::empty_like(tensors.scale), dZeroPoint = at::empty_like(tensors.scale);
  const at::Tensor dOffset = low ? at::zeros({sums, tensors.rank, columns}, wide) : at::empty_like(tensors.offset);
  const at::Tensor dLeft = low ? at::empty_like(tensors.left) : at::empty({0}, wide);
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    SoftRound<T> whole = tensors.job(tensors.gridFrom<T>(gradient, dScale, dZeroPoint));
    whole.penalty = data<float>(roundingPenalty)[0] / static_cast<float>(w.numel());
    whole.beta = data<float>(roundingPenalty)[1];
    whole.dLeft = low ? data<float>(dLeft) : nullptr;
    at::parallel_for(0, sums, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(softRoundScratch(columns));
      for (int64_t i = begin; i < end; ++i) {
        SoftRound<T> job = whole;
        job.dOffset = data<float>(dOffset) + (low ? i * job.rank * columns : 0);
        kernelsOf(sample).softRoundBackward(job, i * kRowsPerSum, std::min(rows, (i + 1) * kRowsPerSum),
                                            scratch.data());
      }
    });
  });
  return {low ? dOffset.sum(0) : dOffset, dLeft, dScale, dZeroPoint};
}

template <typename T>
TokenRound<T> tokenRoundJob(const at::Tensor& x, const at::Tensor& clip, int64_t bits) {
  TokenRound<T> job{};
  job.width = x.size(-1);
  job.clip = clip.item<float>();
  job.top = static_cast<float>((1 << (bits - 1)) - 1);
  job.x = data<T>(x);
  return job;
}

at::Tensor tokenRound(const at::Tensor& input, const at::Tensor& clip, int64_t bits) {
  const at::ScalarType type = kernelType(input.scalar_type(), "x");
  const at::Tensor x = dense(input, "x", type), out = at::empty_like(x);
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    TokenRound<T> job = tokenRoundJob<T>(x, clip, bits);
    job.out = data<T>(out);
    overRows(x.numel() / job.width, job.width,
             [&](int64_t begin, int64_t end) { kernelsOf(sample).tokenRoundForward(job, begin, end); });
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor> tokenRoundBackward(const at::Tensor& gradients, const at::Tensor& input,
                                                      const at::Tensor& clip, int64_t bits) {
  const at::ScalarType type = kernelType(input.scalar_type(), "x");
  const at::Tensor x = dense(input, "x", type), gradient = dense(gradients, "gradient", type);
  TORCH_CHECK(x.sizes() == gradient.sizes(), "shapes differ");
  const int64_t rows = x.numel() / x.size(-1);
  const at::Tensor dx = at::empty_like(x), dClip = at::empty({rows}, x.options().dtype(at::kFloat));
  byType(type, [&](auto sample) {
    using T = decltype(sample);
    TokenRound<T> job = tokenRoundJob<T>(x, clip, bits);
    job.gradient = data<T>(gradient);
    job.dx = data<T>(dx);
    job.dClip = data<float>(dClip);
    overRows(rows, job.width,
             [&](int64_t begin, int64_t end) { kernelsOf(sample).tokenRoundBackward(job, begin, end); });
  });
  return {dx, dClip.sum().reshape(clip.sizes())};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(crossblock, library) {
  library.def(
      "code_unit_round(Tensor weight, Tensor offset, Tensor scale, Tensor zero_point, int bits, ScalarType dtype) -> "
      "Tensor");
  library.def(
      "code_unit_round_backward(Tensor gradient, Tensor weight, Tensor offset, Tensor scale, Tensor zero_point, "
      "int bits) -> (Tensor, Tensor, Tensor)");
  library.def(
      "soft_round(Tensor weight, Tensor start_scale, Tensor offset, Tensor? left, Tensor scale, Tensor zero_point, "
      "int bits, ScalarType dtype) -> Tensor");
  library.def(
      "soft_round_backward(Tensor gradient, Tensor weight, Tensor start_scale, Tensor offset, Tensor? left, "
      "Tensor scale, Tensor zero_point, int bits, Tensor rounding_penalty) -> (Tensor, Tensor, Tensor, Tensor)");
  library.def("token_round(Tensor x, Tensor clip, int bits) -> Tensor");
  library.def("token_round_backward(Tensor gradient, Tensor x, Tensor clip, int bits) -> (Tensor, Tensor)");
  library.def("learnt_scale(Tensor start, Tensor logarithm) -> Tensor");
  library.def("learnt_scale_backward(Tensor gradient, Tensor start, Tensor logarithm) -> Tensor");
}

TORCH_LIBRARY_IMPL(crossblock, CPU, library) {
  library.impl("code_unit_round", codeUnitRound);
  library.impl("code_unit_round_backward", codeUnitRoundBackward);
  library.impl("soft_round", softRound);
  library.impl("soft_round_backward", softRoundBackward);
  library.impl("token_round", tokenRound);
  library.impl("token_round_backward", tokenRoundBackward);
}

}  // namespace crossblock
