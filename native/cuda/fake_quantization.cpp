// Fake quantization of weights on CUDA: weights in fp32 or bf16, the result and its gradient in the products' dtype.
#ifdef CROSSBLOCK_CUDA
#include <torch/library.h>

#include "../operators/checks.h"
#include "arguments.h"

namespace crossblock::cuda {

namespace {


// What every rounding of a weight [rows, groups, groupSize] shares; keeps the dense tensors alive.
struct GridTensors {
  at::Tensor weight, scale, zeroPoint;
  int64_t rows, groups, groupSize;
  float top;

  GridTensors(const at::Tensor& w, const at::Tensor& s, const at::Tensor& z, int64_t bits)
      : weight(alignedDense(dense16Or32(w, "weight"))),
        scale(denseFloat(s, "scale")),
        zeroPoint(denseFloat(z, "zero_point")),
        rows(w.size(0)),
        top(static_cast<float>((1 << bits) - 1)) {
    checkGrid(w, s, z, bits);
    groups = w.size(1);
    groupSize = w.size(2);
  }

  int64_t columns() const { return groups * groupSize; }
  int64_t allGroups() const { return rows * groups; }
};

at::TensorOptions operandOptions(const at::Tensor& weight, at::ScalarType dtype) {
  TORCH_CHECK(dtype == at::kFloat || dtype == at::kBFloat16, "the operand must be float32 or bfloat16, not ", dtype);
  return weight.options().dtype(dtype);
}

// Threads to a group and groups to a block.
struct GroupLaunch {
  const Program program{"code_unit_round.cu", {}};
  int64_t pack;
  Size block, grid;
  std::string suffix;

  GroupLaunch(const GridTensors& grids, const at::Tensor& operand) : pack(packOf(grids.groupSize, 4)) {
    block = groupBlock(grids.groupSize, upTo(grids.groupSize, pack));
    grid = {upTo(grids.allGroups(), block.y)};
    suffix = std::string("_") + suffixOf(grids.weight) + "_" + suffixOf(operand) + "_" + std::to_string(pack);
  }
};

at::Tensor codeUnitRound(const at::Tensor& w, const at::Tensor& v, const at::Tensor& s, const at::Tensor& z,
                         int64_t bits, at::ScalarType dtype) {
  const GridTensors grids(w, s, z, bits);
  const at::Tensor offset = alignedDense(denseFloat(v, "offset"));
  TORCH_CHECK(offset.numel() == w.numel(), "the offset must have the weight's shape");
  const at::Tensor out = at::empty(w.sizes(), operandOptions(w, dtype));
  const GroupLaunch plan(grids, out);
  launch(plan.program, "code_unit_forward" + plan.suffix, plan.grid, plan.block, out, grids.weight.data_ptr(),
         floats(offset), floats(grids.scale), floats(grids.zeroPoint), out.data_ptr(),
         static_cast<long long>(grids.allGroups()), static_cast<int>(grids.groupSize), grids.top);
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> codeUnitRoundBackward(const at::Tensor& gradients, const at::Tensor& w,
                                                                     const at::Tensor& v, const at::Tensor& s,
                                                                     const at::Tensor& z, int64_t bits) {
  const GridTensors grids(w, s, z, bits);
  const at::Tensor offset = alignedDense(denseFloat(v, "offset"));
  const at::Tensor gradient = alignedDense(dense16Or32(gradients, "gradient"));
  TORCH_CHECK(offset.numel() == w.numel() && gradient.numel() == w.numel(), "shapes differ");
  const at::Tensor dOffset = at::empty(w.sizes(), offset.options());
  const at::Tensor dScale = at::empty_like(grids.scale), dZeroPoint = at::empty_like(grids.scale);
  const GroupLaunch plan(grids, gradient);
  launch(plan.program, "code_unit_backward" + plan.suffix, plan.grid, plan.block, gradient, gradient.data_ptr(),
         grids.weight.data_ptr(), floats(offset), floats(grids.scale), floats(grids.zeroPoint), writable(dOffset),
         writable(dScale), writable(dZeroPoint), static_cast<long long>(grids.allGroups()),
         static_cast<int>(grids.groupSize), grids.top);
  return {dOffset, dScale, dZeroPoint};
}

constexpr int64_t kMostFusedRank = 8;
// Warps that keep a large GPU busy; below it, rows are shared out more finely.
constexpr int64_t kWarps = 2048;
constexpr int64_t kSoftThreads = 128;

// The layout that soft_value.cuh reads, field by field.
struct SoftShape {
  int rows, columns, groupSize, rowsPerWarp;
  float top;
};

struct SoftLaunch {
  GridTensors grids;
  at::Tensor start, offset, left;
  int64_t rank, pack, segments, chunks;
  bool fills;  // whether a group fills a warp, or several
  SoftShape shape{};
  Program program;

  SoftLaunch(const at::Tensor& w, const at::Tensor& s0, const at::Tensor& d, const c10::optional<at::Tensor>& a1,
             const at::Tensor& s, const at::Tensor& z, int64_t bits)
      : grids(w, s, z, bits), start(denseFloat(s0, "start_scale")), offset(alignedDense(denseFloat(d, "offset"))) {
    const bool low = a1.has_value();
    left = low ? denseFloat(*a1, "left") : offset;
    rank = low ? left.size(-1) : 0;
    const int64_t columns = grids.columns(), groupSize = grids.groupSize;
    TORCH_CHECK(rank <= kMostFusedRank, "a rank above ", kMostFusedRank, " is a product of its own");
    TORCH_CHECK(start.numel() == grids.scale.numel(), "start_scale must have the scale's shape");
    TORCH_CHECK(offset.numel() == (low ? rank : grids.rows) * columns && (!low || left.numel() == grids.rows * rank),
                "offset must be [out, in], or [rank, in] beside left [out, rank]");
    pack = groupSize % 4 == 0 ? 4 : 1;
    segments = upTo(columns, 32 * pack);
    int64_t rowsPerWarp = 64;
    while (rowsPerWarp > 8 && segments * upTo(grids.rows, rowsPerWarp) < kWarps) rowsPerWarp /= 2;
    chunks = upTo(grids.rows, rowsPerWarp);
    const int64_t lanes = groupSize / pack;
    const bool whole = grids.groups == 1 || lanes % 32 == 0;
    TORCH_CHECK(whole || (lanes < 32 && (lanes & (lanes - 1)) == 0), "groups of ", groupSize,
                " don't fit the kernel: a power of two up to 128, a multiple of 128 or whole rows do");
    fills = whole;
    shape = {static_cast<int>(grids.rows), static_cast<int>(columns), static_cast<int>(groupSize),
             static_cast<int>(rowsPerWarp), grids.top};
    program = {"soft_round.cu",
               {"RANK=" + std::to_string(rank), "COLUMNS_PER_LANE=" + std::to_string(pack),
                "SPAN=" + std::to_string(whole ? 32 : lanes)}};
  }

  Size grid() const { return {upTo(segments * chunks, kSoftThreads / 32)}; }
  // kSums of soft_round_backward.cuh.
  int64_t rowSums() const { return rank + 2 <= 8 ? 8 : 16; }
  std::string suffix(const at::Tensor& operand) const {
    return std::string("_") + suffixOf(grids.weight) + "_" + suffixOf(operand);
  }
};

at::Tensor softRound(const at::Tensor& w, const at::Tensor& s0, const at::Tensor& d,
                     const c10::optional<at::Tensor>& a1, const at::Tensor& s, const at::Tensor& z, int64_t bits,
                     at::ScalarType dtype) {
  const SoftLaunch plan(w, s0, d, a1, s, z, bits);
  const at::Tensor out = at::empty(w.sizes(), operandOptions(w, dtype));
  launch(plan.program, "soft_round_forward" + plan.suffix(out), plan.grid(), {kSoftThreads}, out,
         plan.grids.weight.data_ptr(), floats(plan.start), floats(plan.offset), floats(plan.left),
         floats(plan.grids.scale), floats(plan.grids.zeroPoint), out.data_ptr(), plan.shape);
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> softRoundBackward(
    const at::Tensor& gradients, const at::Tensor& w, const at::Tensor& s0, const at::Tensor& d,
    const c10::optional<at::Tensor>& a1, const at::Tensor& s, const at::Tensor& z, int64_t bits,
    const at::Tensor& penalties) {
  const SoftLaunch plan(w, s0, d, a1, s, z, bits);
  const at::Tensor gradient = alignedDense(dense16Or32(gradients, "gradient"));
  const at::Tensor roundingPenalty = denseFloat(penalties, "rounding_penalty");
  TORCH_CHECK(gradient.numel() == w.numel() && roundingPenalty.numel() == 2, "shapes differ");
  const bool low = plan.rank > 0;
  const int64_t rows = plan.grids.rows, columns = plan.grids.columns(), groups = plan.grids.groups;
  const auto options = plan.offset.options();
  const at::Tensor dScale = at::empty_like(plan.grids.scale), dZeroPoint = at::empty_like(plan.grids.scale);
  const at::Tensor dOffset = low ? at::empty({plan.rank, columns}, options) : at::empty_like(plan.offset);
  const at::Tensor dLeft = at::empty({low ? rows : 0, plan.rank}, options);
  // What the warps leave to be summed.
  const at::Tensor chunkSums = low ? at::empty({plan.chunks, plan.rank, columns}, options) : dOffset;
  const at::Tensor rowSums = at::empty({low || plan.fills ? rows * plan.segments * plan.rowSums() : 0}, options);
  launch(plan.program, "soft_round_backward" + plan.suffix(gradient), plan.grid(), {kSoftThreads}, gradient,
         gradient.data_ptr(), plan.grids.weight.data_ptr(), floats(plan.start), floats(plan.offset), floats(plan.left),
         floats(plan.grids.scale), floats(plan.grids.zeroPoint), floats(roundingPenalty),
         static_cast<float>(rows * columns), writable(chunkSums), writable(rowSums), writable(dScale),
         writable(dZeroPoint), plan.shape);
  const int64_t results = plan.rank * (columns + rows) + (plan.fills ? rows * groups : 0);
  launch(plan.program, "soft_round_sums", {upTo(results, 32)}, {32, 8}, gradient, floats(chunkSums),
         floats(rowSums), writable(dOffset), writable(dLeft), writable(dScale), writable(dZeroPoint), plan.shape,
         static_cast<int>(plan.chunks), static_cast<int>(plan.segments), static_cast<int>(groups));
  return {dOffset, dLeft, dScale, dZeroPoint};
}

at::Tensor learntScale(const at::Tensor& starts, const at::Tensor& logarithms) {
  const at::Tensor start = denseFloat(starts, "start"), logarithm = denseFloat(logarithms, "logarithm");
  TORCH_CHECK(start.numel() == logarithm.numel(), "start and logarithm must have one shape");
  const at::Tensor out = at::empty_like(start);
  launch({"code_unit_round.cu", {}}, "learnt_scale_forward", {upTo(start.numel(), kThreads)}, {kThreads},
         start, floats(start), floats(logarithm), writable(out), static_cast<long long>(start.numel()));
  return out;
}

at::Tensor learntScaleBackward(const at::Tensor& gradients, const at::Tensor& starts, const at::Tensor& logarithms) {
  const at::Tensor start = denseFloat(starts, "start"), logarithm = denseFloat(logarithms, "logarithm");
  const at::Tensor gradient = denseFloat(gradients, "gradient"), out = at::empty_like(start);
  TORCH_CHECK(start.numel() == logarithm.numel() && gradient.numel() == start.numel(), "shapes differ");
  launch({"code_unit_round.cu", {}}, "learnt_scale_backward", {upTo(start.numel(), kThreads)}, {kThreads},
         start, floats(gradient), floats(start), floats(logarithm), writable(out),
         static_cast<long long>(start.numel()));
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(crossblock, CUDA, library) {
  library.impl("code_unit_round", codeUnitRound);
  library.impl("code_unit_round_backward", codeUnitRoundBackward);
  library.impl("soft_round", softRound);
  library.impl("soft_round_backward", softRoundBackward);
  library.impl("learnt_scale", learntScale);
  library.impl("learnt_scale_backward", learntScaleBackward);
}

}  // namespace crossblock::cuda
#endif
