// Fake quantization of weights and inputs, for fp32 on the CPU.
#include <torch/library.h>

#include "checks.h"
#include "rows.h"

namespace crossblock {

namespace {

// What every rounding of a weight [rows, groups, groupSize] shares; keeps the dense tensors alive.
struct GridTensors {
  at::Tensor weight, scale, zeroPoint;
  WeightGrid grid{};
  int64_t rows;

  GridTensors(const at::Tensor& w, const at::Tensor& s, const at::Tensor& z, int64_t bits)
      : weight(dense(w, "weight")), scale(dense(s, "scale")), zeroPoint(dense(z, "zero_point")), rows(w.size(0)) {
    checkGrid(w, s, z, bits);
    grid.groups = w.size(1);
    grid.groupSize = w.size(2);
    grid.top = static_cast<float>((1 << bits) - 1);
    grid.weight = weight.data_ptr<float>();
    grid.scale = scale.data_ptr<float>();
    grid.zeroPoint = zeroPoint.data_ptr<float>();
  }

  int64_t columns() const { return grid.groups * grid.groupSize; }
};

void requireFloat(at::ScalarType dtype) {
  TORCH_CHECK(dtype == at::kFloat, "the CPU's kernels give float32, not ", dtype);
}

at::Tensor codeUnitRound(const at::Tensor& w, const at::Tensor& v, const at::Tensor& s, const at::Tensor& z,
                         int64_t bits, at::ScalarType dtype) {
  requireFloat(dtype);
  GridTensors tensors(w, s, z, bits);
  const at::Tensor offset = dense(v, "offset"), out = at::empty_like(tensors.weight);
  TORCH_CHECK(offset.numel() == out.numel(), "the offset must have the weight's shape");
  tensors.grid.out = out.data_ptr<float>();
  const CodeUnitRound job{tensors.grid, offset.data_ptr<float>(), nullptr};
  overRows(tensors.rows, tensors.columns(),
           [&](int64_t begin, int64_t end) { kernels().codeUnitForward(job, begin, end); });
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> codeUnitRoundBackward(const at::Tensor& gradients, const at::Tensor& w,
                                                                     const at::Tensor& v, const at::Tensor& s,
                                                                     const at::Tensor& z, int64_t bits) {
  GridTensors tensors(w, s, z, bits);
  const at::Tensor offset = dense(v, "offset"), gradient = dense(gradients, "gradient");
  TORCH_CHECK(offset.numel() == w.numel() && gradient.numel() == w.numel(), "shapes differ");
  const at::Tensor dOffset = at::empty_like(tensors.weight);
  const at::Tensor dScale = at::empty_like(tensors.scale), dZeroPoint = at::empty_like(tensors.scale);
  tensors.grid.gradient = gradient.data_ptr<float>();
  tensors.grid.dScale = dScale.data_ptr<float>();
  tensors.grid.dZeroPoint = dZeroPoint.data_ptr<float>();
  const CodeUnitRound job{tensors.grid, offset.data_ptr<float>(), dOffset.data_ptr<float>()};
  overRows(tensors.rows, tensors.columns(),
           [&](int64_t begin, int64_t end) { kernels().codeUnitBackward(job, begin, end); });
  return {dOffset, dScale, dZeroPoint};
}

// Rows whose share of the gradient of A2 is summed on its own: the sum does not depend on the number of threads.
constexpr int64_t kRowsPerSum = 64;

struct SoftTensors : GridTensors {
  at::Tensor start, offset, left;
  SoftRound job{};

  SoftTensors(const at::Tensor& w, const at::Tensor& s0, const at::Tensor& d, const c10::optional<at::Tensor>& a1,
              const at::Tensor& s, const at::Tensor& z, int64_t bits)
      : GridTensors(w, s, z, bits), start(dense(s0, "start_scale")), offset(dense(d, "offset")) {
    const bool low = a1.has_value();
    left = low ? dense(*a1, "left") : at::Tensor();
    const int64_t rank = low ? left.size(-1) : 0;
    TORCH_CHECK(start.numel() == scale.numel(), "start_scale must have the scale's shape");
    TORCH_CHECK(!low || left.numel() == rows * rank, "left must be [out, rank]");
    TORCH_CHECK(offset.numel() == (low ? rank : rows) * columns(), "offset must be [out, in], or [rank, in] beside left");
    job.startScale = start.data_ptr<float>();
    job.rank = rank;
    job.offset = offset.data_ptr<float>();
    job.left = low ? left.data_ptr<float>() : nullptr;
  }
};

at::Tensor softRound(const at::Tensor& w, const at::Tensor& s0, const at::Tensor& d,
                     const c10::optional<at::Tensor>& a1, const at::Tensor& s, const at::Tensor& z, int64_t bits,
                     at::ScalarType dtype) {
  requireFloat(dtype);
  SoftTensors tensors(w, s0, d, a1, s, z, bits);
  const at::Tensor out = at::empty_like(tensors.weight);
  tensors.grid.out = out.data_ptr<float>();
  tensors.job.grid = tensors.grid;
  overRows(tensors.rows, tensors.columns(), [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(softRoundScratch(tensors.columns()));
    kernels().softRoundForward(tensors.job, begin, end, scratch.data());
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> softRoundBackward(
    const at::Tensor& gradients, const at::Tensor& w, const at::Tensor& s0, const at::Tensor& d,
    const c10::optional<at::Tensor>& a1, const at::Tensor& s, const at::Tensor& z, int64_t bits,
    const at::Tensor& commitments) {
  SoftTensors tensors(w, s0, d, a1, s, z, bits);
  const at::Tensor gradient = dense(gradients, "gradient"), commitment = dense(commitments, "commitment");
  TORCH_CHECK(gradient.numel() == w.numel() && commitment.numel() == 2, "shapes differ");
  const bool low = tensors.job.rank > 0;
  const int64_t rows = tensors.rows, columns = tensors.columns();
  const int64_t sums = (rows + kRowsPerSum - 1) / kRowsPerSum;
  const at::Tensor dScale = at::empty_like(tensors.scale), dZeroPoint = at::empty_like(tensors.scale);
  const at::Tensor dOffset =
      low ? at::zeros({sums, tensors.job.rank, columns}, gradient.options()) : at::empty_like(tensors.offset);
  const at::Tensor dLeft = low ? at::empty_like(tensors.left) : at::Tensor();
  tensors.grid.gradient = gradient.data_ptr<float>();
  tensors.grid.dScale = dScale.data_ptr<float>();
  tensors.grid.dZeroPoint = dZeroPoint.data_ptr<float>();
  tensors.job.grid = tensors.grid;
  tensors.job.penalty = commitment.data_ptr<float>()[0] / static_cast<float>(w.numel());
  tensors.job.beta = commitment.data_ptr<float>()[1];
  tensors.job.dLeft = low ? dLeft.data_ptr<float>() : nullptr;
  at::parallel_for(0, sums, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(softRoundScratch(columns));
    for (int64_t i = begin; i < end; ++i) {
      SoftRound job = tensors.job;
      job.dOffset = dOffset.data_ptr<float>() + (low ? i * job.rank * columns : 0);
      kernels().softRoundBackward(job, i * kRowsPerSum, std::min(rows, (i + 1) * kRowsPerSum), scratch.data());
    }
  });
  return {low ? dOffset.sum(0) : dOffset, low ? dLeft : at::empty({0}, gradient.options()), dScale, dZeroPoint};
}

at::Tensor tokenRound(const at::Tensor& input, const at::Tensor& clip, int64_t bits) {
  const at::Tensor x = dense(input, "x"), out = at::empty_like(x);
  TokenRound job{};
  job.width = x.size(-1);
  job.clip = clip.item<float>();
  job.top = static_cast<float>((1 << (bits - 1)) - 1);
  job.x = x.data_ptr<float>();
  job.out = out.data_ptr<float>();
  overRows(x.numel() / job.width, job.width,
           [&](int64_t begin, int64_t end) { kernels().tokenRoundForward(job, begin, end); });
  return out;
}

std::tuple<at::Tensor, at::Tensor> tokenRoundBackward(const at::Tensor& gradients, const at::Tensor& input,
                                                      const at::Tensor& clip, int64_t bits) {
  const at::Tensor x = dense(input, "x"), gradient = dense(gradients, "gradient");
  TORCH_CHECK(x.sizes() == gradient.sizes(), "shapes differ");
  const int64_t rows = x.numel() / x.size(-1);
  const at::Tensor dx = at::empty_like(x), dClip = at::empty({rows}, x.options());
  TokenRound job{};
  job.width = x.size(-1);
  job.clip = clip.item<float>();
  job.top = static_cast<float>((1 << (bits - 1)) - 1);
  job.x = x.data_ptr<float>();
  job.gradient = gradient.data_ptr<float>();
  job.dx = dx.data_ptr<float>();
  job.dClip = dClip.data_ptr<float>();
  overRows(rows, job.width, [&](int64_t begin, int64_t end) { kernels().tokenRoundBackward(job, begin, end); });
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
      "Tensor scale, Tensor zero_point, int bits, Tensor commitment) -> (Tensor, Tensor, Tensor, Tensor)");
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
