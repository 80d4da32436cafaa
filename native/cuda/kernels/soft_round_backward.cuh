// The backward pass of soft_round.cu: the gradient of D, and sums of a warp for what rows or columns share.
#pragma once

#include "soft_value.cuh"

// Sums of each row: RANK of A1's gradient, then those of the scale and the zero point.
constexpr int kSums = RANK + 2 <= 8 ? 8 : 16;
#define SCALE_SUM RANK
#define ZERO_POINT_SUM (RANK + 1)

// Sums that a warp makes together.
constexpr int kTogether = kRows * kSums < 32 ? kRows * kSums : 32;

template <int kHalf>
__device__ __forceinline__ void exchange(float (&values)[kTogether], int lane) {
  const bool upper = (lane & kHalf) != 0;
#pragma unroll
  for (int i = 0; i < kHalf; ++i) {
    const float given = upper ? values[i] : values[i + kHalf];
    const float kept = upper ? values[i + kHalf] : values[i];
    values[i] = kept + __shfl_xor_sync(0xffffffffu, given, kHalf);
  }
}

// Lane l gets the sum over all lanes of `values[l % kTogether]`: for 32 of them 31 exchanges in place of 5 for each.
__device__ __forceinline__ float sumOfOwn(float (&values)[kTogether], int lane) {
  if (kTogether == 32) exchange<kTogether / 2>(values, lane);
  exchange<8>(values, lane);
  exchange<4>(values, lane);
  exchange<2>(values, lane);
  exchange<1>(values, lane);
  return kTogether == 32 ? values[0] : values[0] + __shfl_xor_sync(0xffffffffu, values[0], 16);
}

// dOffset [rows, columns]; or dRight [chunks, RANK, columns], sums still to be made. `sums` [rows, segments, kSums] holds
// A1's gradient and, where a group fills the warp, those of scale and zero point; dScale and dZeroPoint [rows, groups] do
// where SPAN lanes share one.
template <typename W, typename T>
__device__ void softRoundBackward(const T* gradient, const W* weight, const float* starts, const float* offset,
                                  const float* left, const float* scales, const float* zeroPoints,
                                  const float* penalty, float size, float* dOffset, float* sums, float* dScale,
                                  float* dZeroPoint, Shape shape) {
  const Place place = placeOf(shape);
  const int lane = threadIdx.x % 32;
  if (place.firstRow >= shape.rows) return;
  float right[kFactors][N];
  loadRight(offset, shape, place, right);
#if RANK > 0
  float dRight[kFactors][N];
#pragma unroll
  for (int r = 0; r < RANK; ++r) {
#pragma unroll
    for (int j = 0; j < N; ++j) dRight[r][j] = 0;
  }
#endif
  // The rounding penalty pulls with 2 beta gamma |2 h - 1|^(beta - 1), here and below times the slope of h: a power of two.
  const float power = fmaxf(penalty[1] - 1, 1e-6f);
  const float strength = __log2f(2 * (kZeta - kGamma) * penalty[1] * (penalty[0] / size));
  const int groups = shape.columns / shape.groupSize;
  const int column = place.inside ? place.column : 0, own = column / shape.groupSize;
  for (int first = place.firstRow; first < place.lastRow; first += kRows) {
    float g[kRows][N], w[kRows][N], scale[kRows], start[kRows], inverse[kRows], least[kRows];
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      const int row = min(first + k, shape.rows - 1), group = row * groups + own;
      const long long at = static_cast<long long>(row) * shape.columns + column;
      loadPack<N>(gradient + at, g[k]);
      loadPack<N>(weight + at, w[k]);
      scale[k] = scales[group];
      start[k] = starts[group];
      inverse[k] = reciprocal(start[k]);
      least[k] = -rintf(zeroPoints[group]);
    }
    float values[kRows * kSums];
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      const bool live = place.inside && first + k < place.lastRow;
      const int row = min(first + k, shape.rows - 1);
      const float most = least[k] + shape.top;
      const float steep = live ? scale[k] * (kZeta - kGamma) : 0.0f;
      const float pulls = live ? strength : -INFINITY;
      float slope = 0, clippedAway = 0;
      float exponents[N], towards[N];
      exponentsOf(left, offset, right, shape, row, column, exponents);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const float above = g[k][j];
        const Soft soft = softly(w[k][j], start[k], inverse[k], exponents[j]);
        const float code = soft.floor + soft.h;
        const float kept = bounded(code, least[k], most);
        slope += above * kept;
        float through = above * steep;
        if (kept != code) {
          clippedAway += above;
          through = 0;
        }
        through -= copysignf(powerOfTwo(fmaf(__log2f(fabsf(soft.lean)), power, pulls)), soft.lean);
        const bool free = fabsf(soft.lean) <= 1;
        towards[j] = free ? through * fmaf(-soft.sigmoid, soft.sigmoid, soft.sigmoid) : 0.0f;
      }
      slope = live ? slope : 0.0f;
      clippedAway = live ? clippedAway * scale[k] : 0.0f;
#if RANK == 0
      if (live) storePack<N>(dOffset + static_cast<long long>(row) * shape.columns + column, towards);
#else
#pragma unroll
      for (int r = 0; r < RANK; ++r) {
        const float factor = left[row * RANK + r];
        float dot = 0;
#pragma unroll
        for (int j = 0; j < N; ++j) {
          dot += towards[j] * right[r][j];
          dRight[r][j] += factor * towards[j];
        }
        values[k * kSums + r] = dot;
      }
#endif
#if SPAN == 32
      values[k * kSums + SCALE_SUM] = slope;
      values[k * kSums + ZERO_POINT_SUM] = -clippedAway;
#else
      slope = laneSum(slope, SPAN);
      clippedAway = laneSum(clippedAway, SPAN);
      if (live && lane % SPAN == 0) {
        dScale[row * groups + own] = slope;
        dZeroPoint[row * groups + own] = -clippedAway;
      }
#endif
#pragma unroll
      for (int i = SPAN == 32 ? RANK + 2 : RANK; i < kSums; ++i) values[k * kSums + i] = 0;
    }
#if RANK > 0 || SPAN == 32
#pragma unroll
    for (int part = 0; part < kRows * kSums / kTogether; ++part) {
      float some[kTogether];
#pragma unroll
      for (int i = 0; i < kTogether; ++i) some[i] = values[part * kTogether + i];
      const float unit = lane % kSums < RANK ? kPerExponent : 1.0f;
      const float sum = sumOfOwn(some, lane) * unit;
      const int row = first + (part * kTogether + lane % kTogether) / kSums;
      if (row < place.lastRow && lane < kTogether) {
        sums[(static_cast<long long>(row) * place.segments + place.segment) * kSums + lane % kSums] = sum;
      }
    }
#endif
  }
#if RANK > 0
  if (!place.inside) return;
#pragma unroll
  for (int r = 0; r < RANK; ++r) {
    storePack<N>(dOffset + (static_cast<long long>(place.chunk) * RANK + r) * shape.columns + place.column, dRight[r]);
  }
#endif
}
