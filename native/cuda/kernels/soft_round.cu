// w = s (clip(B + h(V0 + D) + z) - z), B + h(V0) = W / s0. D is the product of A1 [rows, RANK] and A2 [RANK, columns],
// or with RANK 0 a matrix of its own. A warp owns 32 N columns of some rows: A2 and its gradient stay in registers, the
// gradient of A1 is a sum over lanes, and neither V nor D ever lies in memory. Options of the compilation: RANK,
// COLUMNS_PER_LANE, and SPAN, the lanes that share a group's sums: 32 where a group fills the warp.

#include "soft_round_backward.cuh"
#include "soft_round_forward.cuh"

#define VARIANT(W, T, suffix)                                                                                          \
  extern "C" __global__ void __launch_bounds__(128)                                                                    \
      soft_round_forward_##suffix(const W* weight, const float* starts, const float* offset, const float* left,        \
                                  const float* scales, const float* zeroPoints, T* out, Shape shape) {                 \
    softRoundForward<W, T>(weight, starts, offset, left, scales, zeroPoints, out, shape);                              \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(128, kBlocks)                                                           \
      soft_round_backward_##suffix(const T* gradient, const W* weight, const float* starts, const float* offset,       \
                                   const float* left, const float* scales, const float* zeroPoints,                    \
                                   const float* penalty, float size, float* dOffset, float* sums, float* dScale,    \
                                   float* dZeroPoint, Shape shape) {                                                   \
    softRoundBackward<W, T>(gradient, weight, starts, offset, left, scales, zeroPoints, penalty, size, dOffset,     \
                            sums, dScale, dZeroPoint, shape);                                                          \
  }

VARIANT(float, float, float_float)
VARIANT(float, bfloat16, float_bfloat16)
VARIANT(bfloat16, float, bfloat16_float)
VARIANT(bfloat16, bfloat16, bfloat16_bfloat16)

// The sums that the warps left: a column of the block of threads owns one result, its rows share the terms. dRight
// [RANK, columns] over chunks first, then the rows' sums over the segments of a group: dLeft [rows, RANK], and with SPAN
// 32 dScale and dZeroPoint [rows, groups].
constexpr int kSharers = 8;

__device__ __forceinline__ float sharedSum(const float* from, int count, long long stride) {
  __shared__ float parts[kSharers][32];
  float sum = 0;
#pragma unroll 4
  for (int i = threadIdx.y; i < count; i += kSharers) sum += from[i * stride];
  __syncthreads();
  parts[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  sum = 0;
#pragma unroll
  for (int i = 0; i < kSharers; ++i) sum += parts[i][threadIdx.x];
  return sum;
}

extern "C" __global__ void soft_round_sums(const float* chunkSums, const float* rowSums, float* dRight, float* dLeft,
                                           float* dScale, float* dZeroPoint, Shape shape, int chunks, int segments,
                                           int groups) {
  const int result = blockIdx.x * 32 + threadIdx.x;
  const int factors = RANK * shape.columns, lefts = RANK * shape.rows;
  const int each = segments / groups;
  const int asLeft = result - factors, asScale = asLeft - lefts;
  const bool isRight = asLeft < 0, isLeft = !isRight && asScale < 0;
  const bool isScale = SPAN == 32 && asScale >= 0 && asScale < shape.rows * groups;
  const float* from = chunkSums;
  int count = 0;
  long long stride = kSums;
  if (isRight) {
    from = chunkSums + result;
    count = chunks;
    stride = factors;
  } else if (isLeft) {
    from = rowSums + static_cast<long long>(asLeft / max(RANK, 1)) * segments * kSums + asLeft % max(RANK, 1);
    count = segments;
  } else if (isScale) {
    from = rowSums + static_cast<long long>(asScale) * each * kSums + SCALE_SUM;
    count = each;
  }
  const float sum = sharedSum(from, count, stride);
  const float away = SPAN == 32 ? sharedSum(from + ZERO_POINT_SUM - SCALE_SUM, isScale ? count : 0, stride) : 0;
  if (threadIdx.y > 0) return;
  if (isRight) dRight[result] = sum;
  if (isLeft) dLeft[asLeft] = sum;
  if (isScale) {
    dScale[asScale] = sum;
    dZeroPoint[asScale] = away;
  }
}
